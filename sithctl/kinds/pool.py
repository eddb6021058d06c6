"""What encoders give: a concept pool, and the mean of image features."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sithctl.kinds.base import Array, Artefact, Column, Identity, canonical, numbers, texts

Factors = dict[str, str]


@dataclass(frozen=True, eq=False)
class Pool(Artefact):
    """A concept pool: raw embeddings and their labels.

    Attributes:
        embeddings: (M, features) float32 or float16, un-normalised.
        concepts: M labels.
        factors: where known, the factor values each concept names.
        modality: ``text`` or ``image``; an image pool is its own mean.
    """

    kind: ClassVar[str] = "pool"
    container: ClassVar[str] = "hdf5"

    embeddings: Array
    concepts: list[str]
    factors: list[Factors] | None = None
    modality: str = "text"

    def arrays(self) -> dict[str, Column]:
        result: dict[str, Column] = {"embeddings": self.embeddings, "concepts": self.concepts}
        if self.factors is not None:
            result["factors"] = [canonical(f) for f in self.factors]
        return result

    def details(self) -> dict[str, Any]:
        return {
            "modality": self.modality,
            "concepts": len(self.concepts),
            "features": int(self.embeddings.shape[1]),
        }

    @classmethod
    def from_parts(cls, document: Mapping[str, Any], arrays: Mapping[str, Column]) -> Self:
        factors = arrays.get("factors")
        return cls(
            Identity.parse(document["model"]),
            tuple(document["history"]),
            numbers(arrays["embeddings"]),
            texts(arrays["concepts"]),
            None if factors is None else [json.loads(text) for text in texts(factors)],
            document["modality"],
        )


@dataclass(frozen=True, eq=False)
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
        """(features,) float32."""
        return (self.sum / self.count).astype(np.float32)

    def arrays(self) -> dict[str, Column]:
        return {"sum": self.sum, "count": np.int64(self.count), "mean": self.mean}  # type: ignore[dict-item]

    def details(self) -> dict[str, Any]:
        return {"count": self.count, "features": int(self.sum.shape[0])}

    @classmethod
    def from_parts(cls, document: Mapping[str, Any], arrays: Mapping[str, Column]) -> Self:
        return cls(
            Identity.parse(document["model"]),
            tuple(document["history"]),
            numbers(arrays["sum"]),
            int(numbers(arrays["count"])),
        )
