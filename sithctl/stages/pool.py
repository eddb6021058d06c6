"""Encode concepts into a pool: raw embeddings by the model's own towers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TypeGuard

import numpy as np

from sithctl.errors import InputError
from sithctl.kinds import Array, CaptionedImage, Factors, Identity, Pool, entry
from sithctl.kinds.base import digest_of
from sithctl.models import Encoder, load_encoder, open_model
from sithctl.stages.image_pool import encode_image_pool

CHUNK = 8192  # concepts between two words to the progress bar


def encode_pool(
    concepts: Sequence[str] | Iterable[CaptionedImage],
    model: str | Encoder = "scenes",
    *,
    factors: list[Factors] | None = None,
    dtype: str = "float32",
    thumbnails: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Pool:
    """Encode concepts with a model's text tower, or captioned images with its vision tower.

    Args:
        concepts: M labels, or captioned images, read a batch at a time.
        model: a name, or an encoder that is loaded already.
        factors: the factor values each concept names, where they are known.
        dtype: of the stored embeddings, ``float32`` or ``float16``.
        thumbnails: keep a small JPEG of every image.
        progress: called with (concepts done, concepts in all, 0 where that is not known).

    Returns:
        A pool with embeddings (M, features), un-normalised.

    Raises:
        InputError: no concepts, or texts and a model without a text tower.
    """
    if _is_images(concepts):
        encoder = load_encoder(model) if isinstance(model, str) else model
        return encode_image_pool(
            concepts, encoder, thumbnails=thumbnails, dtype=dtype, progress=progress
        )
    labels = [str(concept) for concept in concepts]
    if not labels:
        raise InputError("no concepts", None, "give at least one")
    encoder = load_encoder(model) if isinstance(model, str) else model
    name = encoder.location.name
    identity = Identity(name, open_model(encoder.source).readout.space)
    encoder.truncated = 0
    parts = []
    for start in range(0, len(labels), CHUNK):
        parts.append(encoder.encode_text(labels[start : start + CHUNK]).numpy())
        if progress:
            progress(min(start + CHUNK, len(labels)), len(labels))
    if encoder.truncated:
        warnings.warn(
            f"{encoder.truncated} of {len(labels)} concepts are longer than the model's context "
            "and were cut",
            stacklevel=2,
        )
    known = digest_of({"factors": factors}, {"concepts": labels})
    parameters = {"model": name, "dtype": dtype, "arithmetic": encoder.arithmetic}
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
        opened = open_model(model)
        identity = Identity(opened.name, opened.readout.space)
    content = digest_of({}, {"embeddings": embeddings, "concepts": labels})
    history = (entry("encode-pool", {"model": identity.name}, {"embeddings": content}),)
    return Pool(identity, history, embeddings, labels, factors)
