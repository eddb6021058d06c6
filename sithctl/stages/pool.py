"""Encode concepts into a pool: raw embeddings by the model's own towers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.errors import InputError, UsageError
from sithctl.kinds import Array, CaptionedImage, Factors, Identity, Pool, entry
from sithctl.kinds.base import digest_of, numbers
from sithctl.models import Encoder, load_encoder
from sithctl.models.locate import locate
from sithctl.models.opening import feature_space
from sithctl.stages.blocks import Block, Columns, Wanted, counts, done_at_once, made, rows_of
from sithctl.stages.image_pool import encode_image_pool

CHUNK = 2048  # concepts a block, as near as whole batches come
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
    return done_at_once(
        TextPool(labels, encoder, factors, templates, selection or {}, dtype, progress)
    )


@dataclass(frozen=True)
class TextPool:
    """Concepts to encode: see ``encode_pool``."""

    labels: list[str]
    encoder: Encoder
    factors: list[Factors] | None = None
    templates: Sequence[str] = ()
    selection: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    progress: Callable[[int, int], None] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        name, arithmetic = self.encoder.location.name, self.encoder.arithmetic
        told = {"model": name, "dtype": self.dtype, "arithmetic": arithmetic}
        templates = {"templates": list(self.templates)} if self.templates else {}
        return {**told, **templates, **self.selection}

    @cached_property
    def content(self) -> str:
        """A digest of the concepts and what they name."""
        return digest_of({"factors": self.factors}, {"concepts": self.labels})

    @property
    def recipe(self) -> dict[str, Any]:
        size = self.encoder.batch_size
        beside = {"concepts": self.content, "batch size": size, "device": self.encoder.device.type}
        return self.parameters | beside

    @property
    def size(self) -> int:
        """Concepts a block: whole batches."""
        return self.encoder.batch_size * max(1, CHUNK // self.encoder.batch_size)

    def blocks(self, wanted: Wanted) -> Iterator[Block]:
        """Embeddings, and how many texts were cut; lengths are sorted within a block."""
        if not self.labels:
            raise InputError("no concepts", None, "give at least one")
        each = max(1, len(self.templates))
        for number, start in enumerate(range(0, len(self.labels), self.size)):
            columns: Columns | None = None
            if wanted(number):
                chunk = self.labels[start : start + self.size]
                self.encoder.truncated = 0
                rows = _embed(chunk, self.encoder, self.templates).numpy().astype(self.dtype)
                columns = {"embeddings": rows, "cut": np.array([self.encoder.truncated])}
            yield Block(number, "", columns)
            if self.progress and columns is not None:
                self.progress((start + len(chunk)) * each, len(self.labels) * each)

    def whole(self, blocks: Sequence[Block], *, part: bool = False) -> Pool:
        """A pool with embeddings (M, features), un-normalised."""
        done = made(blocks)
        self._warn(sum(int(numbers(columns["cut"]).sum()) for columns in done))
        location = self.encoder.location
        rows = [i for b in blocks if b.columns is not None for i in self._rows(b.number)]
        factors = self.factors
        return Pool(
            Identity(location.name, feature_space(location)),
            (entry("encode-pool", self.parameters, {"concepts": self.content}),),
            rows_of(done, "embeddings"),
            [self.labels[i] for i in rows],
            None if factors is None else [factors[i] for i in rows],
        )

    def _rows(self, number: int) -> range:
        return range(number * self.size, min((number + 1) * self.size, len(self.labels)))

    def _warn(self, cut: int) -> None:
        if cut:
            texts = len(self.labels) * max(1, len(self.templates))
            warnings.warn(
                f"{cut} of {texts} {'texts' if self.templates else 'concepts'} are longer than "
                "the model's context and were cut",
                stacklevel=2,
            )

    def seams(self, blocks: Sequence[Block]) -> Columns:
        """Rows by block."""
        return {"rows": counts(made(blocks), "embeddings")}


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
