"""Encode texts into a pool: their embeddings by the model's own text tower."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.errors import InputError, UsageError
from sithctl.kinds import Factors, Identity, Pool, entry
from sithctl.kinds.base import digest_of, numbers
from sithctl.kinds.shard import Block, Columns
from sithctl.models import Encoder
from sithctl.models.opening import feature_space
from sithctl.stages.blocks import Wanted, counts, made, rows_of

CHUNK = 2048  # concepts a block, as near as whole batches come
PLACE = "{}"  # where a template takes the concept


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
                if self.progress:
                    self.progress(start * each, len(self.labels) * each)
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
