"""Whether explanations by captioned scenes name what the bundled classifier was taught: every scene
has a value of every factor, so each factor's share can be held against chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sithctl.evaluation.bootstrap import Interval, bootstrap
from sithctl.kinds import Array, Codes, Factors, Pool
from sithctl.scenes.factors import NAMES

LAYERS = "-3-"
DRAWS = 20  # sets of scenes drawn at random for each explanation


@dataclass(frozen=True)
class Row:
    """One factor's mean share: the largest part of an explanation's weight that lies on scenes of
    one value; and the same for scenes drawn at random, with the explanation's own weights."""

    share: Interval
    chance: Interval


def factor_share(weights: Array, values: list[str]) -> float:
    """The largest share of the weight that scenes of one value have.

    >>> factor_share(np.array([0.5, 0.3, 0.2]), ["ring", "star", "ring"])
    0.7
    """
    total = {value: weights[[v == value for v in values]].sum() for value in set(values)}
    return float(max(total.values()) / weights.sum())


def measure(codes: Codes, pool: Pool, seed: int = 0) -> dict[str, Row]:
    """Every factor's share in all explanations of ``codes``, beside chance.

    Args:
        codes: of the classifier, by a pool of scenes.
        pool: the same, with factors.
    """
    if pool.factors is None:
        raise ValueError("the pool carries no factors")
    rng = np.random.default_rng(seed)
    explanations = list(_explanations(codes))
    drawn = [rng.integers(0, len(pool.factors), (DRAWS, len(i))) for i, _ in explanations]
    rows: dict[str, Row] = {}
    for name in NAMES:
        share = [_share(pool.factors, name, i, w) for i, w in explanations]
        chance = [
            np.mean([_share(pool.factors, name, row, w) for row in rows_drawn])
            for (_, w), rows_drawn in zip(explanations, drawn, strict=True)
        ]
        rows[name] = Row(bootstrap(np.array(share), seed), bootstrap(np.array(chance), seed))
    return rows


def _explanations(codes: Codes) -> list[tuple[Array, Array]]:
    found = []
    for layer in codes.layers.values():
        k = layer.indices.shape[-1]
        pairs = zip(layer.indices.reshape(-1, k), layer.coefficients.reshape(-1, k), strict=True)
        found += [(i[i >= 0], w[i >= 0]) for i, w in pairs if (i >= 0).any()]
    return found


def _share(factors: list[Factors], name: str, indices: Array, weights: Array) -> float:
    return factor_share(weights, [factors[i][name] for i in indices.tolist()])


def as_markdown(rows: dict[str, Row]) -> str:
    lines = ["| factor | share of one value | scenes at random |", "|---|---|---|"]
    for name, row in rows.items():
        share, chance = row.share, row.chance
        lines.append(
            f"| {name} | {share.mean:.2f} ({share.low:.2f}–{share.high:.2f}) | {chance.mean:.2f} |"
        )
    return "\n".join(lines) + "\n"
