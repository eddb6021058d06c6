"""The search for the best concepts: one query a target, screened and then certified.

Products in bfloat16, where they are fast, or float32 leave out the concepts that cannot be the
best, by a bound on all that rounding can do (``screen``); the few that are left are scored again in
float32, and in float64 where float32 cannot tell (``certify``). So what is chosen is what exact
arithmetic chooses, ties to the lowest index, whatever the precision, the batch or the block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sithctl.pursuit.certify import PAIRS, Best, Shortlist
from sithctl.pursuit.dictionary import Dictionary, Rows, fast_bfloat16, ready
from sithctl.pursuit.screen import SCORES, Scan

FEW = 32  # targets: for fewer, rounding the dictionary costs more than it saves


@dataclass(frozen=True)
class Tally:
    """What was scored how often.

    Attributes:
        screened: pairs of targets and concepts scored in bfloat16.
        plain: in float32, all of a target's.
        rescored: in float32, as candidates.
        certified: in float64.
    """

    screened: int = 0
    plain: int = 0
    rescored: int = 0
    certified: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.screened + other.screened,
            self.plain + other.plain,
            self.rescored + other.rescored,
            self.certified + other.certified,
        )

    def summary(self) -> str:
        """How many scores, and how many of them again, in words."""
        first, precision = (self.screened, "bfloat16") if self.screened else (self.plain, "float32")
        words = f"{first:,} scores in {precision}"
        if self.screened and self.plain:
            words += f", {self.plain:,} all over in float32"
        return f"{words}; again {self.rescored:,} in float32 and {self.certified:,} in float64"


def prepare(
    rows: Rows, targets: int, screen: bool | None = None, *, hold: bool = True
) -> Dictionary:
    """Rows made ready for so many targets, in bfloat16 if told to or, with None, where it pays.

    Args:
        rows: unit rows.
        targets: how many there will be.
        screen: whether products in bfloat16 come before those in float32.
        hold: keep what is rounded: half of the dictionary in bfloat16, nothing where float32 rows
            are in memory already; False reads and rounds it anew in every pass.
    """
    return ready(rows, products_in(rows, targets, screen), hold=hold)


def products_in(rows: Rows, targets: int, screen: bool | None = None) -> torch.dtype:
    """The type that products with so many targets are made in."""
    if screen is None:
        screen = targets >= FEW and fast_bfloat16(rows.device)
    return torch.bfloat16 if screen else torch.float32


def best_concepts(
    queries: Tensor, dictionary: Dictionary, k: int, taken: Tensor, *, batch_size: int
) -> tuple[Best, Tally]:
    """The k concepts with the largest inner product with each query.

    Args:
        queries: (n, d) float64.
        dictionary: from ``prepare``.
        k: how many.
        taken: (n, t) int64, concepts that are not to be found again, −1 for none.
        batch_size: queries in one product.
    """
    largest = queries.abs().amax(1)
    zero = (largest == 0).nonzero().squeeze(1)
    if len(zero):  # a target explained wholly: every concept ties, and the first ones left win
        rest = largest.nonzero().squeeze(1)
        first = _first_left(taken[zero], len(dictionary), k)
        if not len(rest):
            return first, Tally()
        best, tally = best_concepts(
            queries[rest], dictionary, k, taken[rest], batch_size=batch_size
        )
        return _join((zero, first), (rest, best)), tally
    power = largest / torch.frexp(largest).mantissa  # of two: scores keep their bits
    scaled = queries / power.unsqueeze(1)
    best, undecided, tally = _search(scaled, dictionary, k, taken, batch_size)
    if len(undecided):
        again, _, more = _search(
            scaled[undecided], dictionary.plain(), k, taken[undecided], batch_size
        )
        best.indices[undecided], best.scores[undecided] = again.indices, again.scores
        tally += more
    return Best(best.indices, best.scores * power.unsqueeze(1)), tally


def _search(
    queries: Tensor, dictionary: Dictionary, k: int, taken: Tensor, batch_size: int
) -> tuple[Best, Tensor, Tally]:
    """The best of each row, and the rows for which that is not certain."""
    scan = Scan(queries, dictionary, k, taken)
    shortlist = Shortlist(queries, dictionary, k)

    def found(row: Tensor, column: Tensor, upper: Tensor) -> None:
        shortlist.add(row, column, upper)
        if shortlist.count > PAIRS:
            shortlist.settle(scan.lower_bounds())

    scores = SCORES.get(queries.device.type, SCORES["cpu"])
    scan.candidates(batch_size, max(1, scores // min(batch_size, len(queries))), found)
    shortlist.settle(scan.lower_bounds())
    pairs = len(queries) * len(dictionary)
    tally = Tally(
        pairs if dictionary.screened else 0,
        0 if dictionary.screened else pairs,
        shortlist.rescored,
        shortlist.certified,
    )
    return shortlist.best(), scan.undecided().nonzero().squeeze(1), tally


def _first_left(taken: Tensor, size: int, k: int) -> Best:
    """The k lowest indices that are not taken, with score 0."""
    reach = min(size, k + taken.shape[1])
    free = torch.ones(len(taken), reach, dtype=torch.bool, device=taken.device)
    row, column = ((taken >= 0) & (taken < reach)).nonzero(as_tuple=True)
    free[row, taken[row, column]] = False
    order = torch.argsort(~free, dim=1, stable=True)[:, :k]
    found = free.gather(1, order)
    indices = torch.full((len(taken), k), -1, dtype=torch.long, device=taken.device)
    indices[:, : order.shape[1]] = torch.where(found, order, -1)
    scores = torch.where(indices >= 0, 0.0, -torch.inf).double()
    return Best(indices, scores)


def _join(*parts: tuple[Tensor, Best]) -> Best:
    """Results of disjoint rows, put in the rows' places."""
    n = sum(len(rows) for rows, _ in parts)
    first = parts[0][1]
    indices = first.indices.new_empty(n, first.indices.shape[1])
    scores = first.scores.new_empty(n, first.scores.shape[1])
    for rows, best in parts:
        indices[rows], scores[rows] = best.indices, best.scores
    return Best(indices, scores)
