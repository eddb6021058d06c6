"""Encode concepts into a pool: raw embeddings by the model's own towers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from sithctl.errors import InputError
from sithctl.kinds import Array, CaptionedImage, Factors, Identity, Pool, entry
from sithctl.kinds.base import digest_of
from sithctl.models import Encoder, load_encoder
from sithctl.models.locate import Named, locate
from sithctl.models.opening import feature_space
from sithctl.stages.blocks import done_at_once
from sithctl.stages.image_pool import encode_image_pool
from sithctl.stages.text_pool import TextPool, check_templates


def encode_pool(
    concepts: Sequence[str] | Iterable[CaptionedImage],
    model: Named | Encoder = "scenes",
    *,
    factors: list[Factors] | None = None,
    templates: Sequence[str] = (),
    selection: Mapping[str, Any] | None = None,
    dtype: str = "float32",
    thumbnails: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Pool:
    """Encode concepts with a model's text tower (SITH, Sec. 3), or captioned images with its vision
    tower (UniSITH).

    Args:
        concepts: M labels, or captioned images, read a batch at a time.
        model: a name or a path, or an encoder that is loaded already.
        factors: the factor values each concept names, where they are known.
        templates: sentences with a ``{}`` for the concept. A concept's embedding is then the mean
            of its unit-norm embeddings in all of them: CLIP's prompt ensembling for zero-shot
            classification. Its label stays the concept alone.
        selection: how the concepts were chosen, for history.
        dtype: of the stored embeddings, ``float32`` or ``float16``.
        thumbnails: keep a small JPEG of every image.
        progress: called with (texts or images done, how many in all, 0 where that is not known).

    Returns:
        A pool with embeddings (M, features), un-normalised; of norm 1 at most with templates.

    Raises:
        InputError: no concepts, one text instead of a list, or texts and a model without a text
            tower.
        UsageError: a template without ``{}``.

    >>> pool = encode_pool(["crimson", "ocean", "ring"])
    >>> pool
    Pool(scenes: 3 texts, 48 features)
    >>> pool.embeddings.shape
    (3, 48)
    """
    if isinstance(concepts, str | os.PathLike):  # whose characters would be taken for concepts
        what = "a text where a list of concepts was expected"
        raise InputError(what, concepts, "give Path(...).read_text().splitlines()")
    check_templates(templates)
    encoder = load_encoder(model)
    if _is_images(concepts):
        return encode_image_pool(
            concepts, encoder, thumbnails=thumbnails, dtype=dtype, progress=progress
        )
    labels = [str(concept) for concept in concepts]
    return done_at_once(
        TextPool(labels, encoder, factors, templates, selection or {}, dtype, progress)
    )


def _is_images(
    concepts: Sequence[str] | Iterable[CaptionedImage],
) -> TypeGuard[Iterable[CaptionedImage]]:
    return not isinstance(concepts, Sequence) or any(
        isinstance(concept, CaptionedImage) for concept in concepts
    )


def ready_pool(
    embeddings: Array,
    concepts: Sequence[str],
    *,
    model: Named | None = None,
    factors: list[Factors] | None = None,
) -> Pool:
    """A pool of embeddings made elsewhere.

    Args:
        embeddings: (M, features), un-normalised.
        concepts: M labels.
        model: whose embeddings they are; without it nothing can check that they fit.

    Raises:
        InputError: not one label a row.
    """
    labels = list(concepts)
    if len(labels) != len(embeddings):
        raise InputError(
            f"{len(labels)} labels for {len(embeddings)} embeddings",
            None,
            "give one label a row of the embeddings, in their order",
        )
    identity = Identity()
    if model is not None:
        location = locate(model)
        identity = Identity(location.name, feature_space(location))
    content = digest_of({}, {"embeddings": embeddings, "concepts": labels})
    history = (entry("encode-pool", {"model": identity.name}, {"embeddings": content}),)
    return Pool(identity, history, embeddings, labels, factors)
