"""Planted truth: how much of an explanation's weight lies on one factor value, by method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sithctl.evaluation.bootstrap import Interval, bootstrap
from sithctl.evaluation.factors import dominant_share, explained_shares
from sithctl.kinds import Array, Pool, Spectra
from sithctl.stages.options import Options

METHODS = {"COMP, λ 0.3": "comp", "NNOMP": "nnomp", "top-k": "top-k"}
RANDOM = "random concepts"
LAYERS = "-3-"
RANDOM_DRAWS = 20_000


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
