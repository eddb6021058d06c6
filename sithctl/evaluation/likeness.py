"""How alike the concepts of explanations are, and explanations of concepts drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sithctl.evaluation.explained import Explained
from sithctl.evaluation.factors import dominant_shares, factor_names, factor_values
from sithctl.kinds import Array, Codes

BLOCK = 4096  # explanations whose concepts' vectors are gathered at a time


@dataclass(frozen=True)
class Likeness:
    """What there is to be said about explanations of these codes."""

    codes: Codes

    def figures(self, indices: Array, weights: Array) -> dict[str, Array]:
        """(n,) each; NaN where it says nothing.

        Args:
            indices: (n, K) into the pool, −1 where unused.
            weights: (n, K), 0 where unused.
        """
        plain, weighted = self._similarity(indices, weights)
        found = {"similarity": plain, "weighted_similarity": weighted}
        if self.codes.concepts.factors is not None:
            for name, what in (
                ("dominant_factor", factor_names),
                ("dominant_value", factor_values),
            ):
                shares = dominant_shares(indices, weights, self.codes, what)
                found[name] = np.where(weights.sum(1) > 0, shares, np.nan)
        return found

    def _similarity(self, indices: Array, weights: Array) -> tuple[Array, Array]:
        known = self.codes.concepts
        places = np.searchsorted(known.indices, np.maximum(indices, known.indices.min()))
        used = indices >= 0
        parts = [
            pair_means(
                known.vectors[places[i : i + BLOCK]], used[i : i + BLOCK], weights[i : i + BLOCK]
            )
            for i in range(0, len(indices), BLOCK)
        ]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]


def pair_means(vectors: Array, used: Array, weights: Array) -> tuple[Array, Array]:
    """Mean cosine of an explanation's pairs of concepts, (n,) plain and (n,) weighted by the
    product of the two coefficients; NaN where there is no pair.

    Args:
        vectors: (n, K, features), unit rows.
        used: (n, K) bool.
        weights: (n, K) ≥ 0.
    """
    cosines = np.einsum("nkd,njd->nkj", vectors, vectors, dtype=np.float64)
    upper = np.triu(np.ones(cosines.shape[1:], dtype=bool), 1)
    result = []
    for each in (used.astype(np.float64), np.where(used, weights, 0.0)):
        pairs = each[:, :, None] * each[:, None, :] * upper
        total = pairs.sum((1, 2))
        nothing = np.full(len(total), np.nan)
        result.append(np.divide((pairs * cosines).sum((1, 2)), total, out=nothing, where=total > 0))
    return result[0], result[1]


def redrawn(rows: Explained, codes: Codes, rng: np.random.Generator) -> Array:
    """(n, K) as many concepts as each explanation has, none twice in one, of those in use."""
    known = codes.concepts.indices
    width = rows.indices.shape[1]
    if len(known) <= 8 * width:  # few: put them in a random order
        order = np.argsort(rng.random((len(rows.indices), len(known))), axis=1)[:, :width]
        order = np.pad(order, ((0, 0), (0, width - order.shape[1])))  # an unused place of each row
    else:
        order = rng.integers(0, len(known), size=rows.indices.shape)
        while len(again := _repeats(order)):
            order[again] = rng.integers(0, len(known), size=(len(again), width))
    return np.where(rows.used, known[order], -1)


def _repeats(order: Array) -> Array:
    """The rows that name one concept twice."""
    sorted_rows = np.sort(order, axis=1)
    return np.flatnonzero((sorted_rows[:, 1:] == sorted_rows[:, :-1]).any(1))
