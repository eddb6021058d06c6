"""What the pursuit gives: explanations of singular vectors by concepts."""

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
    layer_numbers,
    numbers,
    optional,
    texts,
)
from sithctl.kinds.pool import Factors
from sithctl.kinds.readout import Readout
from sithctl.kinds.shown import Brief, number_of, numbered


@dataclass(frozen=True, repr=False)
class LayerCodes(Brief):
    """One layer's explanations.

    Attributes:
        indices: (heads, rank, poles, K) int64 into the pool, −1 where unused.
        coefficients: (heads, rank, poles, K) float32, descending.
        singular_values: (heads, rank).
        energy: (heads, rank), σ²/Σσ² of the whole head.
        degenerate: (heads, rank) bool, a neighbour's σ is too near to tell the two apart.
        fidelity: (heads, rank, poles, 3): feature, residual, residual ceiling.
        grade: when graded, (heads, rank, poles) int8: how far to trust each, 1 for A to 4 for D.
        reasons: when graded, (heads, rank, poles) uint8: flags of ``REASONS``, why it is no A.
    """

    indices: Array
    coefficients: Array
    singular_values: Array
    energy: Array
    degenerate: Array
    fidelity: Array
    grade: Array | None = None
    reasons: Array | None = None

    def named(self, prefix: str) -> dict[str, Column]:
        always: dict[str, Column] = {prefix + name: getattr(self, name) for name in LAYER_CODES}
        return always | optional({prefix + name: getattr(self, name) for name in GRADING})

    @classmethod
    def parse(cls, arrays: Mapping[str, Column], prefix: str) -> Self:
        always = (numbers(arrays[prefix + name]) for name in LAYER_CODES)
        graded = (arrays.get(prefix + name) for name in GRADING)
        found = cls(*always, *(None if column is None else numbers(column) for column in graded))
        _check_finite({name: getattr(found, name) for name in FINITE})
        _check_grades(found)
        return found


LAYER_CODES = (
    "indices",
    "coefficients",
    "singular_values",
    "energy",
    "degenerate",
    "fidelity",
)
FINITE = ("coefficients", "singular_values")  # fidelity may be NaN: some read-outs have no inverse
GRADING = ("grade", "reasons")
GRADES = "ABCD"
# What keeps an explanation from an A, bit by bit from the lowest.
REASONS = ("degenerate", "unstable", "near-chance", "same-poles", "empty", "untested")


def _check_finite(arrays: Mapping[str, Array]) -> None:
    """Refuse NaN and infinities, which would pass for figures further on."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"NaN or infinite {name.replace('_', ' ')}")


def _check_grades(codes: LayerCodes) -> None:
    """Refuse grades of a damaged file: what reads them takes a known one for granted."""
    grade, reasons = codes.grade, codes.reasons
    if (grade is None) != (reasons is None):
        raise ValueError("grades without reasons, or reasons without grades")
    if grade is None or reasons is None:
        return
    shape = codes.indices.shape[:3]
    if grade.shape != shape or reasons.shape != shape:
        raise ValueError(f"grades of shape {grade.shape} for explanations of {shape}")
    if grade.size and not (grade.min() >= 1 and grade.max() <= len(GRADES)):
        raise ValueError(f"a grade that is none of 1 to {len(GRADES)}")


@dataclass(frozen=True, repr=False)
class Concepts(Brief):
    """The concepts that some explanation uses.

    Attributes:
        indices: (used,) int64 into the pool, ascending.
        labels: used labels.
        vectors: (used, features) float32, centred and unit.
        factors: the factor values each names, where the pool knows them.
        sources, detail_captions, thumbnails: of an image pool's, where it has them.
    """

    indices: Array
    labels: list[str]
    vectors: Array
    factors: list[Factors] | None = None
    sources: list[str] | None = None
    detail_captions: list[str] | None = None
    thumbnails: Blobs | None = None

    def named(self) -> dict[str, Column]:
        known = None if self.factors is None else [canonical(f) for f in self.factors]
        beside: dict[str, Column | None] = {
            "concepts/factors": known,
            "concepts/sources": self.sources,
            "concepts/details": self.detail_captions,
            "concepts/thumbnails": self.thumbnails,
        }
        always: dict[str, Column] = {
            "concepts/indices": self.indices,
            "concepts/labels": self.labels,
            "concepts/vectors": self.vectors,
        }
        return always | optional(beside)

    @classmethod
    def parse(cls, arrays: Mapping[str, Column]) -> Self:
        vectors = numbers(arrays["concepts/vectors"])
        _check_finite({"vectors of concepts": vectors})
        factors, sources = arrays.get("concepts/factors"), arrays.get("concepts/sources")
        details, thumbnails = arrays.get("concepts/details"), arrays.get("concepts/thumbnails")
        return cls(
            numbers(arrays["concepts/indices"]),
            texts(arrays["concepts/labels"]),
            vectors,
            None if factors is None else [json.loads(text) for text in texts(factors)],
            None if sources is None else texts(sources),
            None if details is None else texts(details),
            None if thumbnails is None else blobs(thumbnails),
        )


@dataclass(frozen=True, eq=False, repr=False)
class Codes(Artefact):
    """Explanations of singular vectors: for every pole, a few concepts with coefficients.

    Attributes:
        parameters: how concepts were selected, and which poles there are.
        mean: (features,) float32, of unit-norm image features, subtracted from every read-out.
        pool_mean: (features,) float32, of the pool's unit-norm rows, subtracted from every concept.
    """

    kind: ClassVar[str] = "codes"
    container: ClassVar[str] = "hdf5"

    architecture: dict[str, Any]
    parameters: dict[str, Any]
    layers: Mapping[int, LayerCodes]
    concepts: Concepts
    mean: Array
    pool_mean: Array
    readout: Readout

    @property
    def poles(self) -> list[str]:
        """Which poles there are, in the order of the arrays: ``+``, ``-``."""
        return list(self.parameters["poles"])

    @property
    def graded(self) -> bool:
        """Whether every explanation has a grade."""
        return all(values.grade is not None for values in self.layers.values())

    def arrays(self) -> dict[str, Column]:
        result: dict[str, Column] = {}
        for layer, codes in self.layers.items():
            result |= codes.named(f"layers/{layer}/")
        result |= self.concepts.named()
        result["mean"], result["pool_mean"] = self.mean, self.pool_mean
        return result | self.readout.arrays("/")

    def details(self) -> dict[str, Any]:
        return {
            "architecture": self.architecture,
            "parameters": self.parameters,
            "readout": self.readout.document(),
        }

    def facts(self) -> list[str]:
        used, said = len(self.concepts.labels), self.parameters
        return [
            numbered("layer", self.layers),
            f"{number_of(sum(v.indices[..., 0].size for v in self.layers.values()), 'explanation')}"
            f" of {said['side']} vectors",
            f"{said['method']} with {said['sparsity']} of {number_of(used, 'concept')} at most",
            *(["graded"] if self.graded else []),
        ]

    @classmethod
    def from_parts(cls, document: Mapping[str, Any], arrays: Mapping[str, Column]) -> Self:
        layers = {
            layer: LayerCodes.parse(arrays, f"layers/{layer}/")
            for layer in layer_numbers(arrays, "/")
        }
        return cls(
            Identity.parse(document["model"]),
            tuple(document["history"]),
            document["architecture"],
            document["parameters"],
            layers,
            Concepts.parse(arrays),
            numbers(arrays["mean"]),
            numbers(arrays["pool_mean"]),
            Readout.parse(document["readout"], arrays, "/"),
        )
