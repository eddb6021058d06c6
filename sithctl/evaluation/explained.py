"""Codes as flat arrays: a row an explanation, by layer, head, vector and pole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from sithctl.evaluation.results import Record
from sithctl.kinds import Array, Codes


@dataclass(frozen=True)
class Explained:
    """n explanations, one after another.

    Attributes:
        poles: how many there are a vector: rows of one vector follow each other.
        layer, head, sv, pole: (n,) where each is; ``pole`` counts in the codes' poles.
        indices: (n, K) int64 into the pool, −1 where unused.
        coefficients: (n, K) float64, 0 where unused and never below.
        sigma: (n,) singular values.
        degenerate: (n,) bool.
        fidelity: (n, 3): feature, residual, residual ceiling.
    """

    poles: int
    layer: Array
    head: Array
    sv: Array
    pole: Array
    indices: Array
    coefficients: Array
    sigma: Array
    degenerate: Array
    fidelity: Array

    @classmethod
    def of(cls, codes: Codes) -> Explained:
        parts = [_flat(codes, layer) for layer in sorted(codes.layers)]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return cls(len(codes.poles), *columns)

    @property
    def used(self) -> Array:
        """(n, K) bool."""
        return self.indices >= 0

    @property
    def weights(self) -> Array:
        """(n, K) coefficients as shares of each explanation's sum; 0 where there is none."""
        return shares(self.coefficients)

    def heads(self) -> Iterator[tuple[Record, Array]]:
        """Every head as a record's beginning, and (n,) bool: which rows are its."""
        for layer, head in sorted(set(zip(self.layer.tolist(), self.head.tolist(), strict=True))):
            yield {"layer": layer, "head": head}, (self.layer == layer) & (self.head == head)


def _flat(codes: Codes, layer: int) -> tuple[Array, ...]:
    values = codes.layers[layer]
    shape = values.indices.shape[:3]
    head, sv, pole = (place.ravel() for place in np.indices(shape))
    used = values.indices >= 0
    # What `nearest` finds may be unlike the vector in every concept: such weigh nothing.
    coefficients = np.where(used, np.maximum(values.coefficients, 0.0), 0.0).astype(np.float64)
    return (
        np.full(head.shape, layer),
        head,
        sv,
        pole,
        values.indices.reshape(len(head), -1),
        coefficients.reshape(len(head), -1),
        np.repeat(values.singular_values.ravel().astype(np.float64), shape[2]),
        np.repeat(values.degenerate.ravel(), shape[2]),
        values.fidelity.reshape(len(head), 3).astype(np.float64),
    )


def joined(first: Explained, second: Explained) -> Explained:
    """Both, one after the other, of as many poles a vector."""
    names = [field.name for field in fields(Explained)][1:]
    parts = ((getattr(first, name), getattr(second, name)) for name in names)
    return Explained(first.poles, *(np.concatenate(pair) for pair in parts))


def shares(weights: Array) -> Array:
    """Rows as shares of their sum; 0 where that is 0."""
    total = weights.sum(-1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def mean_of(values: Array) -> float | None:
    """The mean of the values that there are; None of none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def mean_along(values: Array) -> Array:
    """The mean over the first axis of the values that there are; NaN where there is none."""
    known = ~np.isnan(values)
    count = known.sum(0)
    nothing = np.full(values.shape[1:], np.nan)
    return np.divide(np.where(known, values, 0.0).sum(0), count, out=nothing, where=count > 0)
