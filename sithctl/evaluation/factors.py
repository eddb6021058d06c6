"""Concepts whose factors are known: how much of an explanation says one thing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from sithctl.evaluation.explained import Explained
from sithctl.kinds import Array, Codes, Factors

Named = Callable[[Factors], Sequence[Hashable]]


def factor_values(named: Factors) -> Sequence[Hashable]:
    """The factor values that a phrase names: colour red, shape ring."""
    return list(named.items())


def factor_names(named: Factors) -> Sequence[Hashable]:
    """The factors that a phrase speaks of: colour, shape."""
    return list(named)


def dominant_share(
    weights: Sequence[float], factors: Sequence[Factors], what: Named = factor_values
) -> float:
    """The largest share of the weight that one factor value has; a phrase that names several
    counts in equal parts for each. 0 without any weight.

    Args:
        weights: of the concepts.
        factors: that each concept names.
        what: ``factor_values``, or ``factor_names`` for the share of one factor.

    >>> dominant_share([0.6, 0.4], [{"colour": "red"}, {"colour": "red", "shape": "ring"}])
    0.8
    """
    return dominant(weights, factors, what)[1]


def dominant(
    weights: Sequence[float], factors: Sequence[Factors], what: Named = factor_values
) -> tuple[Any, float]:
    """What has the largest share of the weight, and that share; None and 0 without any weight."""
    shares = shares_of(weights, factors, what)
    if not shares:
        return None, 0.0
    best = max(shares, key=shares.__getitem__)
    return best, shares[best]


def shares_of(
    weights: Sequence[float], factors: Sequence[Factors], what: Named = factor_values
) -> dict[Any, float]:
    """The share of the weight of everything that is named; nothing without any weight."""
    total = sum(weights)
    shares: dict[Hashable, float] = {}
    for weight, named in zip(weights, factors, strict=True):
        parts = what(named)
        for part in parts:
            shares[part] = shares.get(part, 0.0) + weight / len(parts)
    return {part: share / total for part, share in shares.items()} if total > 0 else {}


def dominant_shares(
    indices: Array, weights: Array, codes: Codes, what: Named = factor_values
) -> Array:
    """(n,) the dominant share of explanations.

    Args:
        indices: (n, K) into the pool, −1 where unused, of concepts that the codes use.
        weights: (n, K), 0 where unused.
        codes: whose concepts carry factors.
        what: as for ``dominant_share``.

    Raises:
        ValueError: the codes carry no factors.
    """
    if codes.concepts.factors is None:
        raise ValueError("the codes carry no factors")
    named = dict(zip(codes.concepts.indices.tolist(), codes.concepts.factors, strict=True))
    return np.array(
        [
            dominant_share(w[i >= 0].tolist(), [named[k] for k in i[i >= 0].tolist()], what)
            for i, w in zip(indices, weights, strict=True)
        ]
    )


def factor_weights(indices: Array, weights: Array, codes: Codes) -> dict[str, Array]:
    """By factor, the share of the weight that speaks of it, of every explanation that has some;
    nothing where the codes carry no factors.

    Args:
        indices, weights: as of ``dominant_shares``.
    """
    known = codes.concepts.factors
    if known is None:
        return {}
    named = dict(zip(codes.concepts.indices.tolist(), known, strict=True))
    rows = [
        shares_of(w[i >= 0].tolist(), [named[k] for k in i[i >= 0].tolist()], factor_names)
        for i, w in zip(indices, weights, strict=True)
        if w.sum() > 0
    ]
    factors = sorted({name for row in rows for name in row})
    return {name: np.array([row.get(name, 0.0) for row in rows]) for name in factors}


def explained_shares(codes: Codes) -> Array:
    """The dominant share of every explanation in ``codes``."""
    rows = Explained.of(codes)
    return dominant_shares(rows.indices, rows.coefficients, codes)
