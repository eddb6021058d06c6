"""What encoders give: a concept pool, and the mean of image features."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sithctl.kinds.base import (
    Array,
    Artefact,
    Blobs,
    Column,
    Identity,
    blobs,
    canonical,
    numbers,
    optional,
    texts,
)
from sithctl.kinds.shown import number_of

Factors = dict[str, str]
ROWS = ("embeddings", "concepts", "factors", "sources", "details", "thumbnails")


@dataclass(frozen=True, eq=False, repr=False)
class Pool(Artefact):
    """A concept pool: raw embeddings and their labels.

    Attributes:
        embeddings: (M, features) float32 or float16, un-normalised.
        concepts: M labels; an image's is its caption.
        factors: where known, the factor values each concept names.
        modality: ``text`` or ``image``; an image pool is its own mean.
        sources: for images, their M ids.
        detail_captions: second, longer captions where there are any.
        thumbnails: M small JPEGs, where they are kept.
    """

    kind: ClassVar[str] = "pool"
    container: ClassVar[str] = "hdf5"

    embeddings: Array
    concepts: list[str]
    factors: list[Factors] | None = None
    modality: str = "text"
    sources: list[str] | None = None
    detail_captions: list[str] | None = None
    thumbnails: Blobs | None = None

    def arrays(self) -> dict[str, Column]:
        known = None if self.factors is None else [canonical(f) for f in self.factors]
        beside: dict[str, Column | None] = {
            "factors": known,
            "sources": self.sources,
            "details": self.detail_captions,
            "thumbnails": self.thumbnails,
        }
        always: dict[str, Column] = {"embeddings": self.embeddings, "concepts": self.concepts}
        return always | optional(beside)

    def details(self) -> dict[str, Any]:
        return {
            "modality": self.modality,
            "concepts": len(self.concepts),
            "features": int(self.embeddings.shape[1]),
        }

    def facts(self) -> list[str]:
        features = number_of(self.embeddings.shape[1], "feature")
        return [number_of(len(self.concepts), self.modality), features]

    @classmethod
    def from_parts(cls, document: Mapping[str, Any], arrays: Mapping[str, Column]) -> Self:
        _check_rows({name: arrays[name] for name in ROWS if name in arrays})
        factors, sources = arrays.get("factors"), arrays.get("sources")
        details, thumbnails = arrays.get("details"), arrays.get("thumbnails")
        return cls(
            Identity.parse(document["model"]),
            tuple(document["history"]),
            numbers(arrays["embeddings"]),
            texts(arrays["concepts"]),
            None if factors is None else [json.loads(text) for text in texts(factors)],
            document["modality"],
            None if sources is None else texts(sources),
            None if details is None else texts(details),
            None if thumbnails is None else blobs(thumbnails),
        )


def _check_rows(columns: Mapping[str, Column]) -> None:
    """Refuse columns of a damaged file: what reads a pool takes a row of each for granted."""
    shape = numbers(columns["embeddings"]).shape
    if len(shape) != 2:
        raise ValueError(f"embeddings of shape {shape}, not (rows, features)")
    for name, column in columns.items():
        if isinstance(column, list) and len(column) != shape[0]:
            raise ValueError(f"{len(column)} {name} for {shape[0]} embeddings")


@dataclass(frozen=True, eq=False, repr=False)
class Mean(Artefact):
    """The mean of unit-norm image features, kept as a sum so that parts can be added up.

    Attributes:
        sum: (features,) float64, of unit-norm features.
        count: how many images; 1 for a ready vector.
    """

    kind: ClassVar[str] = "mean"
    container: ClassVar[str] = "hdf5"

    sum: Array
    count: int

    @property
    def mean(self) -> Array:
        """(features,) float32, the sum by the count."""
        return (self.sum / max(1, self.count)).astype(np.float32)  # a part may have no images

    def arrays(self) -> dict[str, Column]:
        return {"sum": self.sum, "count": np.int64(self.count), "mean": self.mean}  # type: ignore[dict-item]

    def details(self) -> dict[str, Any]:
        return {"count": self.count, "features": int(self.sum.shape[0])}

    def facts(self) -> list[str]:
        norm = float(np.linalg.norm(self.mean))
        of = number_of(self.count, "image")
        return [f"of {of}", number_of(len(self.sum), "feature"), f"norm {norm:.2f}"]

    @classmethod
    def from_parts(cls, document: Mapping[str, Any], arrays: Mapping[str, Column]) -> Self:
        return cls(
            Identity.parse(document["model"]),
            tuple(document["history"]),
            numbers(arrays["sum"]),
            int(numbers(arrays["count"])),
        )
