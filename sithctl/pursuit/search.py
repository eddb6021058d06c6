"""The search for the best concepts: one query a target, the dictionary in blocks.

Scores come from float32 products, a block at a time and never more; concepts that rounding could
have robbed of their place are scored again in float64. So what is chosen is what exact arithmetic
chooses, ties to the lowest index, whatever the batch or the block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 4096  # concepts scored at a time
PAIRS = 1 << 22  # float64 numbers gathered at a time when scoring again


@dataclass(frozen=True)
class Best:
    """The best concepts of each target.

    Attributes:
        indices: (n, k) int64, −1 where the dictionary had too few.
        scores: (n, k) float64, descending, −inf where the dictionary had too few.
    """

    indices: Tensor
    scores: Tensor


def best_concepts(
    queries: Tensor, dictionary: Tensor, k: int, taken: Tensor, *, batch_size: int, scale: float
) -> Best:
    """The k concepts with the largest inner product with each query.

    Args:
        queries: (n, d) float64.
        dictionary: (M, d) float32.
        k: how many.
        taken: (n, t) int64, concepts that are not to be found again, −1 for none.
        batch_size: queries in one product.
        scale: the largest norm of a row of the dictionary, for the error bound.
    """
    zero = (queries == 0).all(1).nonzero().squeeze(1)
    if len(zero):  # a target explained wholly: every concept ties, and the first ones left win
        rest = (queries != 0).any(1).nonzero().squeeze(1)
        return _join(
            (zero, _first_left(taken[zero], len(dictionary), k)),
            (
                rest,
                best_concepts(
                    queries[rest], dictionary, k, taken[rest], batch_size=batch_size, scale=scale
                ),
            ),
        )
    low = queries.to(dictionary.dtype)
    # |fl(q·γ) − q·γ| ≤ d·u·‖q‖‖γ‖ for the product, and u·‖q‖‖γ‖ for the query's own rounding.
    unit = torch.finfo(dictionary.dtype).eps
    slack = (queries.shape[1] + 4) * unit * scale * queries.norm(dim=1)
    found = _Candidates(len(queries), k, slack)
    for start in range(0, len(dictionary), BLOCK):
        block = dictionary[start : start + BLOCK]
        for rows in _batches(len(queries), batch_size):
            scores = low[rows] @ block.T
            _mask(scores, taken[rows], start)
            found.offer(rows, scores, start)
    return _certify(queries, dictionary, k, *found.near_best())


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


def largest_norm(dictionary: Tensor) -> float:
    return max(float(part.norm(dim=1).max()) for part in dictionary.split(BLOCK))


def _batches(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _mask(scores: Tensor, taken: Tensor, start: int) -> None:
    """Before any maximum is taken: under COMP's query the taken concepts score highest."""
    column = taken - start
    row, place = ((column >= 0) & (column < scores.shape[1]) & (taken >= 0)).nonzero(as_tuple=True)
    scores[row, column[row, place]] = -torch.inf


class _Candidates:
    """Concepts that may still be among the k best of their target."""

    def __init__(self, n: int, k: int, slack: Tensor) -> None:
        self.k = k
        self.slack = slack.to(torch.float32)
        self.top = torch.full((n, k), -torch.inf, device=slack.device)
        self.rows: list[Tensor] = []
        self.columns: list[Tensor] = []
        self.scores: list[Tensor] = []

    def offer(self, rows: slice, scores: Tensor, start: int) -> None:
        """Take from a block's scores, (rows, block), what may be among the best."""
        k = min(self.k, scores.shape[1])
        best = scores.amax(1, keepdim=True) if k == 1 else scores.topk(k).values
        old = self.top[rows]
        top = torch.cat([old, best], 1).topk(self.k).values
        self.top[rows] = top
        threshold = top[:, -1] - 2 * self.slack[rows]
        hopeful = (best[:, 0] >= threshold).nonzero().squeeze(1)
        if not len(hopeful):
            return
        near = scores[hopeful] >= threshold[hopeful].unsqueeze(1)
        # A threshold of −inf must not let in what is masked.
        near &= scores[hopeful] > -torch.inf
        row, column = near.nonzero(as_tuple=True)
        self.rows.append(hopeful[row] + rows.start)
        self.columns.append(column + start)
        self.scores.append(scores[hopeful[row], column])

    def near_best(self) -> tuple[Tensor, Tensor]:
        """(row, concept) pairs, within the error bound of the k-th best."""
        if not self.rows:
            nothing = torch.zeros(0, dtype=torch.long, device=self.top.device)
            return nothing, nothing
        row, column = torch.cat(self.rows), torch.cat(self.columns)
        kept = torch.cat(self.scores) >= (self.top[:, -1] - 2 * self.slack)[row]
        return row[kept], column[kept]


def exact_scores(queries: Tensor, dictionary: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Inner products of (query, concept) pairs in float64."""
    parts = []
    for rows in _batches(len(row), max(1, PAIRS // queries.shape[1])):
        concepts = dictionary[column[rows]].double()
        parts.append((queries[row[rows]] * concepts).sum(1))
    return torch.cat(parts) if parts else queries.new_zeros(0)


def _certify(queries: Tensor, dictionary: Tensor, k: int, row: Tensor, column: Tensor) -> Best:
    """Order the candidates by exact score, then by index, and keep k of each target."""
    n = len(queries)
    scores = exact_scores(queries, dictionary, row, column)
    order = torch.argsort(column, stable=True)
    order = order[torch.argsort(scores[order], descending=True, stable=True)]
    order = order[torch.argsort(row[order], stable=True)]
    row, column, scores = row[order], column[order], scores[order]
    counts = torch.bincount(row, minlength=n)
    place = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    kept = place < k
    indices = torch.full((n, k), -1, dtype=torch.long, device=row.device)
    values = torch.full((n, k), -torch.inf, dtype=torch.float64, device=row.device)
    indices[row[kept], place[kept]] = column[kept]
    values[row[kept], place[kept]] = scores[kept]
    return Best(indices, values)
