"""From concepts that could be the best to the best: scored again, exactly where it matters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sithctl.pursuit.dictionary import Dictionary, Rows, batches
from sithctl.pursuit.screen import TINY

GATHERED = 1 << 18  # numbers of concepts gathered at a time: so many stay in cache
PAIRS = 1 << 20  # candidates that are held before they are settled


@dataclass(frozen=True)
class Best:
    """The best concepts of each target.

    Attributes:
        indices: (n, k) int64, −1 where the dictionary had too few.
        scores: (n, k) float64, descending, −inf where the dictionary had too few.
    """

    indices: Tensor
    scores: Tensor


class Shortlist:
    """Candidates of n queries: (row, concept) pairs, each with an upper bound of its score.

    Attributes:
        rescored: pairs scored again in float32.
        certified: pairs scored again in float64.
    """

    def __init__(self, queries: Tensor, dictionary: Dictionary, k: int) -> None:
        self.queries = queries
        self.dictionary = dictionary
        self.k = k
        self.settled = _pairs(queries.device)
        self.waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        self.count = 0
        self.rescored = self.certified = 0

    def add(self, row: Tensor, column: Tensor, upper: Tensor) -> None:
        self.waiting.append((row, column, upper))
        self.count += len(row)

    def settle(self, lower: Tensor) -> None:
        """Keep the k best of each row, where an (n,) lower bound of the k-th best is known."""
        if not self.waiting:
            return
        row, column, upper = (torch.cat(part) for part in zip(*self.waiting, strict=True))
        self.waiting, self.count = [], 0
        kept = upper >= lower[row]
        row, column = self._near_best(row[kept], column[kept])
        scores = exact_scores(self.queries, self.dictionary.rows, row, column)
        self.certified += len(row)
        old = self.settled
        row, column = torch.cat([old[0], row]), torch.cat([old[1], column])
        self.settled = _ordered(row, column, torch.cat([old[2], scores]), self.k)

    def best(self) -> Best:
        """The k best of each row, once all are settled."""
        n, device = len(self.queries), self.queries.device
        row, column, score = self.settled
        indices = torch.full((n, self.k), -1, dtype=torch.long, device=device)
        scores = torch.full((n, self.k), -torch.inf, dtype=torch.float64, device=device)
        place = _place(row, n)
        indices[row, place], scores[row, place] = column, score
        return Best(indices, scores)

    def _near_best(self, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
        """Those of the pairs that float32 cannot tell from the k-th best, and better ones."""
        n = len(self.queries)
        if self.k > 1 or len(row) <= n:
            return row, column  # hardly one a row
        self.rescored += len(row)
        score, slack = _float32_scores(self.queries, self.dictionary, row, column)
        best = torch.full((n,), -torch.inf, dtype=torch.float64, device=score.device)
        best.scatter_reduce_(0, row, score - slack, "amax")
        kept = score + slack >= best[row]
        return row[kept], column[kept]


def exact_scores(queries: Tensor, dictionary: Rows, row: Tensor, column: Tensor) -> Tensor:
    """Inner products of (query, concept) pairs in float64."""
    parts = []
    for pairs in batches(len(row), max(1, GATHERED // queries.shape[1])):
        concepts = dictionary.take(column[pairs]).double()
        parts.append((queries[row[pairs]] * concepts).sum(1))
    return torch.cat(parts) if parts else queries.new_zeros(0)


def _float32_scores(
    queries: Tensor, dictionary: Dictionary, row: Tensor, column: Tensor
) -> tuple[Tensor, Tensor]:
    """The same in float32, as float64, and what they may be wrong by."""
    low = queries.float()
    width = queries.shape[1]
    unit = (width + 4) * torch.finfo(torch.float32).eps
    slack = unit * queries.norm(dim=1)[row] * dictionary.norms[column] + 4 * width * TINY
    scores = []
    for pairs in batches(len(row), max(1, GATHERED // width)):
        concepts = dictionary.rows.take(column[pairs])
        scores.append((low[row[pairs]] * concepts).sum(1).double())
    return torch.cat(scores), slack


def _pairs(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    row = torch.zeros(0, dtype=torch.long, device=device)
    return row, row, torch.zeros(0, dtype=torch.float64, device=device)


def _ordered(row: Tensor, column: Tensor, score: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """By row, then by score, then by index; k of each row."""
    order = torch.argsort(column, stable=True)
    order = order[torch.argsort(score[order], descending=True, stable=True)]
    order = order[torch.argsort(row[order], stable=True)]
    row, column, score = row[order], column[order], score[order]
    kept = _place(row) < k
    return row[kept], column[kept], score[kept]


def _place(row: Tensor, n: int = 0) -> Tensor:
    """Which of its row each pair is; the rows ascend."""
    counts = torch.bincount(row, minlength=n)
    return torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
