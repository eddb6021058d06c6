"""How far to trust an explanation: one grade from four signs, as good as the worst of them.

Thresholds stand here and nowhere else:

- *Degenerate*: within a block of near-equal σ the vectors are interchangeable, so an explanation of
  one of them explains nothing that is there: C at best, whatever else.
- *Stability*, the overlap with explanations by random halves of the pool. A where three quarters of
  what could come again does, B where half does, C where a quarter does: less is another explanation
  for another pool.
- *Percentile* of its feature fidelity among random directions'. A above 95%, the usual bound for
  what chance seldom gives; B in the upper quarter; C above the middle; D where a random direction
  is explained as well.
- *Overlap of the poles*: + and − are opposite, and share but the component that all read-outs have
  (method: read-out). Where half of the weight is on the same concepts, it is that component which
  is explained, not the vector: D; a quarter: B.

What cannot be tested, since its coder cannot be repeated, is B at best. Without a concept it is D.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from sithctl.kinds import Array
from sithctl.kinds.codes import GRADES, REASONS

A, B, C, D = (i + 1 for i in range(len(GRADES)))
STABLE = (0.75, 0.5, 0.25)  # the least for A, B, C
ABOVE_CHANCE = (0.95, 0.75, 0.5)
SAME_POLES = (0.25, 0.5)  # from here B, from here D


@dataclass(frozen=True)
class Signs:
    """What is known of n explanations.

    Attributes:
        empty: (n,) bool, without a concept.
        degenerate: (n,) bool, in a block of near-equal σ.
        jaccard, overlap: (n,) stability; NaN where not tested.
        percentile: (n,) of the fidelity among random directions'.
        poles: (n,) overlap of the vector's two poles; NaN where one alone is explained.
    """

    empty: Array
    degenerate: Array
    jaccard: Array
    overlap: Array
    percentile: Array
    poles: Array

    def __getitem__(self, rows: slice) -> Signs:
        return Signs(*(getattr(self, field.name)[rows] for field in fields(self)))

    def grades(self) -> tuple[Array, Array]:
        """(n,) int8 grades, 1 for A to 4 for D, and (n,) uint8 flags of what keeps it from an A."""
        each = {
            "degenerate": np.where(self.degenerate, C, A),
            "unstable": _at_least(self.overlap, STABLE),
            "near-chance": _at_least(self.percentile, ABOVE_CHANCE),
            "same-poles": _same_poles(self.poles),
            "empty": np.where(self.empty, D, A),
            "untested": np.where(np.isnan(self.overlap) & ~self.empty, B, A),
        }
        found = np.stack([each[name] for name in REASONS])
        flags = sum((row > A).astype(np.uint8) << bit for bit, row in enumerate(found))
        return found.max(0).astype(np.int8), np.asarray(flags, dtype=np.uint8)


def _at_least(values: Array, bounds: tuple[float, ...]) -> Array:
    """A from the first bound on, then B, C, and D below the last; A where unknown."""
    grade = sum((values < bound).astype(int) for bound in bounds)
    return np.where(np.isnan(values), A, A + grade)


def _same_poles(overlap: Array) -> Array:
    some, most = SAME_POLES
    return np.where(overlap >= most, D, np.where(overlap >= some, B, A))
