"""How sure a mean is: percentile intervals of the bootstrap (Efron & Tibshirani, 1993, ch. 13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sithctl.kinds import Array

REPEATS = 2000
BLOCK = 1 << 24  # drawn numbers in memory at a time


@dataclass(frozen=True)
class Interval:
    """A figure with its bootstrap 95% interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def document(self) -> dict[str, float]:
        return {"mean": self.mean, "low": self.low, "high": self.high}


def bootstrap(values: Array, seed: int, repeats: int = REPEATS) -> Interval:
    """The mean of ``values`` and its interval.

    Raises:
        ValueError: there are none.
    """
    if not len(values):
        raise ValueError("the mean of nothing")
    return interval(float(np.mean(values)), resampled(values, seed, repeats))


def interval(figure: float, draws: Array) -> Interval:
    """A figure with the interval that its ``draws`` span."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(figure, float(low), float(high))


def resampled(values: Array, seed: int, repeats: int = REPEATS) -> Array:
    """(repeats,) means of as many values drawn with replacement.

    The same seed and count draw the same rows: so the difference of two such is that of pairs.
    """
    rng = np.random.default_rng(seed)
    values = np.asarray(values, dtype=np.float64)
    at_once = max(1, BLOCK // len(values))
    means = []
    for start in range(0, repeats, at_once):
        size = (min(at_once, repeats - start), len(values))
        means.append(values[rng.integers(0, len(values), size=size)].mean(1))
    return np.concatenate(means)


def resampled_groups(groups: Mapping[str, Array], seed: int, repeats: int = REPEATS) -> Array:
    """(groups, repeats) means, each group drawn within itself."""
    return np.stack([resampled(v, seed + i, repeats) for i, v in enumerate(groups.values())])
