"""Planted truth: how much of an explanation's weight lies on one factor value, by method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sithctl.evaluation.bootstrap import Interval, bootstrap
from sithctl.kinds import Array, Codes, Factors, Pool, Spectra
from sithctl.stages.options import Options

METHODS = {"COMP, λ 0.3": "comp", "NNOMP": "nnomp", "top-k": "top-k"}
RANDOM = "random concepts"
LAYERS = "-3-"
RANDOM_DRAWS = 20_000


def dominant_share(weights: Sequence[float], factors: Sequence[Factors]) -> float:
    """The largest share of the weight that one factor value has; a phrase that names several
    counts in equal parts for each. 0 without any weight.

    >>> dominant_share([0.6, 0.4], [{"colour": "red"}, {"colour": "red", "shape": "ring"}])
    0.8
    """
    total = sum(weights)
    if total <= 0:
        return 0.0
    shares: dict[tuple[str, str], float] = {}
    for weight, named in zip(weights, factors, strict=True):
        for value in named.items():
            shares[value] = shares.get(value, 0.0) + weight / len(named)
    return max(shares.values(), default=0.0) / total


def explained_shares(codes: Codes) -> Array:
    """The dominant share of every explanation in ``codes``."""
    if codes.concepts.factors is None:
        raise ValueError("the codes carry no factors")
    named = dict(zip(codes.concepts.indices.tolist(), codes.concepts.factors, strict=True))
    shares = []
    for layer in codes.layers.values():
        sparsity = layer.indices.shape[-1]
        pairs = zip(
            layer.indices.reshape(-1, sparsity),
            layer.coefficients.reshape(-1, sparsity),
            strict=True,
        )
        for indices, weights in pairs:
            used = indices >= 0
            factors = [named[i] for i in indices[used].tolist()]
            shares.append(dominant_share(weights[used].tolist(), factors))
    return np.array(shares)


def random_shares(pool: Pool, n: int, sparsity: int, seed: int) -> Array:
    """The same for ``n`` explanations of ``sparsity`` concepts drawn from the pool, weighted
    equally."""
    if pool.factors is None:
        raise ValueError("the pool carries no factors")
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(pool.factors), size=(n, sparsity))
    equal = [1.0] * sparsity
    return np.array([dominant_share(equal, [pool.factors[i] for i in row]) for row in draws])


@dataclass(frozen=True)
class Row:
    """One method's figures: dominant share, and mean feature fidelity (None for random)."""

    share: Interval
    fidelity: float | None


def measure(spectra: Spectra, pool: Pool, seed: int = 0) -> dict[str, Row]:
    """The figures of every method over the last three layers, both poles, K 5."""
    from sithctl.stages.decompose import decompose

    rows: dict[str, Row] = {}
    for name, method in METHODS.items():
        codes = decompose(spectra, pool, layers=LAYERS, options=Options(method=method))
        feature = np.concatenate([c.fidelity[..., 0].ravel() for c in codes.layers.values()])
        rows[name] = Row(bootstrap(explained_shares(codes), seed), float(feature.mean()))
    rows[RANDOM] = Row(bootstrap(random_shares(pool, RANDOM_DRAWS, 5, seed), seed, 200), None)
    return rows


def as_markdown(rows: dict[str, Row]) -> str:
    lines = ["| method | share on the dominant value | fidelity |", "|---|---|---|"]
    for name, row in rows.items():
        fidelity = "–" if row.fidelity is None else f"{row.fidelity:.2f}"
        share = row.share
        lines.append(
            f"| {name} | {share.mean:.2f} ({share.low:.2f}–{share.high:.2f}) | {fidelity} |"
        )
    return "\n".join(lines) + "\n"
