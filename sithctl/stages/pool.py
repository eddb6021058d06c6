"""Encode concepts into a pool: raw embeddings by the model's own towers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.errors import InputError, UsageError
from sithctl.kinds import Array, CaptionedImage, Factors, Identity, Pool, entry
from sithctl.kinds.base import digest_of
from sithctl.models import Encoder, load_encoder
from sithctl.models.locate import locate
from sithctl.models.opening import feature_space
from sithctl.stages.image_pool import encode_image_pool

CHUNK = 8192  # texts between two words to the progress bar
PLACE = "{}"  # where a template takes the concept


def encode_pool(
    concepts: Sequence[str] | Iterable[CaptionedImage],
    model: str | Encoder = "scenes",
    *,
    factors: list[Factors] | None = None,
    templates: Sequence[str] = (),
    selection: Mapping[str, Any] | None = None,
    dtype: str = "float32",
    thumbnails: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Pool:
    """Encode concepts with a model's text tower, or captioned images with its vision tower.

    Args:
        concepts: M labels, or captioned images, read a batch at a time.
        model: a name, or an encoder that is loaded already.
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
        InputError: no concepts, or texts and a model without a text tower.
        UsageError: a template without ``{}``.
    """
    check_templates(templates)
    encoder = load_encoder(model) if isinstance(model, str) else model
    if _is_images(concepts):
        return encode_image_pool(
            concepts, encoder, thumbnails=thumbnails, dtype=dtype, progress=progress
        )
    labels = [str(concept) for concept in concepts]
    return _text_pool(labels, encoder, factors, templates, selection or {}, dtype, progress)


def _text_pool(
    labels: list[str],
    encoder: Encoder,
    factors: list[Factors] | None,
    templates: Sequence[str],
    selection: Mapping[str, Any],
    dtype: str,
    progress: Callable[[int, int], None] | None,
) -> Pool:
    if not labels:
        raise InputError("no concepts", None, "give at least one")
    name = encoder.location.name
    identity = Identity(name, feature_space(encoder.location))
    encoder.truncated = 0
    texts = len(labels) * max(1, len(templates))
    parts, done = [], 0
    for start in range(0, len(labels), CHUNK):
        chunk = labels[start : start + CHUNK]
        parts.append(_embed(chunk, encoder, templates).numpy())
        done += len(chunk) * max(1, len(templates))
        if progress:
            progress(done, texts)
    if encoder.truncated:
        warnings.warn(
            f"{encoder.truncated} of {texts} {'texts' if templates else 'concepts'} are longer "
            "than the model's context and were cut",
            stacklevel=2,
        )
    known = digest_of({"factors": factors}, {"concepts": labels})
    parameters: dict[str, Any] = {
        "model": name,
        "dtype": dtype,
        "arithmetic": encoder.arithmetic,
    }
    parameters |= {"templates": list(templates)} if templates else {}
    parameters |= selection
    return Pool(
        identity,
        (entry("encode-pool", parameters, {"concepts": known}),),
        np.concatenate(parts).astype(dtype),
        labels,
        factors,
    )


def _is_images(
    concepts: Sequence[str] | Iterable[CaptionedImage],
) -> TypeGuard[Iterable[CaptionedImage]]:
    return not isinstance(concepts, Sequence) or any(
        isinstance(concept, CaptionedImage) for concept in concepts
    )


def check_templates(templates: Sequence[str]) -> None:
    """Refuse a template that has no place for the concept."""
    for template in templates:
        if PLACE not in template:
            raise UsageError(
                "a template without a place for the concept",
                template,
                f'write it as in "a photo of {PLACE}"',
            )


def _embed(concepts: list[str], encoder: Encoder, templates: Sequence[str]) -> Tensor:
    """(n, features): the concepts as they are, or the mean over their unit-norm templates."""
    if not templates:
        return encoder.encode_text(concepts)
    total = torch.zeros((), dtype=torch.float64)
    for template in templates:
        # Not format(): a concept or a template may have other braces.
        sentences = [template.replace(PLACE, concept) for concept in concepts]
        total = total + F.normalize(encoder.encode_text(sentences).double(), dim=-1)
    return (total / len(templates)).float()


def ready_pool(
    embeddings: Array,
    concepts: Sequence[str],
    *,
    model: str | None = None,
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
