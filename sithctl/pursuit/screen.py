"""Scores of all concepts in a product's precision, and what they may be wrong by.

The dictionary is read a block at a time. Of a block's scores the maxima of runs of concepts are
taken at once, and only where one comes near the best so far is the run itself looked at: what is
kept are the concepts that could still be the best. In bfloat16 that is ten times as fast as in
float32 where the processor multiplies matrices in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sithctl.pursuit.dictionary import Dictionary, batches

RUN = 128  # concepts that share a maximum
SCORES = {"cpu": 1 << 22, "cuda": 1 << 28}  # of a block: of a cache; enough to keep a GPU busy
UNIT = 2**-9  # what rounding to bfloat16 changes a number by, at most
TINY = torch.finfo(torch.float32).tiny
LEAST = torch.finfo(torch.float32).min

Found = Callable[[Tensor, Tensor, Tensor], None]


@contextmanager
def full_accumulation() -> Iterator[None]:
    """Products as the error bound takes them: no TF32, no partial sums in bfloat16."""
    cuda = torch.backends.cuda.matmul
    before = torch.get_float32_matmul_precision(), cuda.allow_bf16_reduced_precision_reduction
    torch.set_float32_matmul_precision("highest")
    cuda.allow_bf16_reduced_precision_reduction = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cuda.allow_bf16_reduced_precision_reduction = before[1]


class Scan:
    """One pass over the dictionary for (n, d) float64 queries, of numbers about 1.

    A score s of a block is within ``rounding`` · |s| + slack of the exact inner product, with

        slack = ‖q − low q‖‖γ‖ + 2⁻⁹ ‖low q‖‖γ‖ + (d + 4) ε ‖low q‖‖low γ‖

    for the rounding of the query, that of the concept, and the accumulation in float32;
    ``rounding`` is that of a score which comes back in bfloat16, 2⁻⁹ again. (To measure
    ‖γ − low γ‖ instead, 40% less, would read the dictionary three times more.)
    """

    def __init__(self, queries: Tensor, dictionary: Dictionary, k: int, taken: Tensor) -> None:
        self.dictionary = dictionary
        self.k = k
        self.taken = taken
        dtype = dictionary.dtype
        self.low = queries.to(dtype)
        self.bfloat16 = dtype == torch.bfloat16
        # Of the unrounded score, and a little for taking it of the rounded one.
        self.rounding = UNIT * 1.01 if self.bfloat16 else 0.0
        self.unsure = self._unsure(queries)
        self.top = torch.full((len(queries), k), -torch.inf, device=queries.device)
        self.run = _run_length(len(dictionary), k)

    def _unsure(self, queries: Tensor) -> Tensor:
        """(n,) float64, the slack for a concept of norm 1."""
        rounded = self.low.double()
        concept = UNIT if self.bfloat16 else 0.0
        # Tensor cores cut where processors round: twice the bound of rounding.
        accumulated = (self.low.shape[1] + 4) * torch.finfo(torch.float32).eps
        error = concept + accumulated * (1 + concept)
        return (queries - rounded).norm(dim=1) + rounded.norm(dim=1) * error

    def candidates(self, batch_size: int, block: int, found: Found) -> None:
        """Tell ``found`` (rows, concepts, upper bounds) of what could be among the k best."""
        n, size = len(self.low), len(self.dictionary)
        batch = min(batch_size, n)
        block = -(-min(block, size, self.dictionary.longest) // self.run) * self.run
        buffer = self.low.new_empty(block * batch)
        for start in range(0, size, block):
            concepts = slice(start, min(start + block, size))
            low = self.dictionary.block(concepts)  # once, however many targets there are
            for rows in batches(n, batch):
                width = rows.stop - rows.start
                scores = buffer[: block * width].view(block, width)
                self._multiply(low, start, rows, scores)
                self._offer(concepts, rows, scores, found)

    def undecided(self) -> Tensor:
        """Rows whose best score is too near 0, or below: there, integers are in a false order."""
        slack = self._slack(slice(None), slice(None))
        if not self.bfloat16:
            return torch.zeros_like(slack, dtype=torch.bool)
        return self._threshold(slice(None), slack) <= TINY

    def lower_bounds(self) -> Tensor:
        """(n,) float32, of each row's k-th best score."""
        return self.top[:, -1]

    def _multiply(self, low: Tensor, start: int, rows: slice, scores: Tensor) -> None:
        torch.mm(low, self.low[rows].T, out=scores[: len(low)])
        scores[len(low) :] = -torch.inf
        # Before any maximum is taken: under COMP's query the taken concepts score highest.
        taken = self.taken[rows] - start
        row, place = ((taken >= 0) & (taken < len(low))).nonzero(as_tuple=True)
        scores[taken[row, place], row] = -torch.inf

    def _offer(self, concepts: slice, rows: slice, scores: Tensor, found: Found) -> None:
        runs = scores.view(-1, self.run, scores.shape[1])
        maxima = self._maxima(runs)
        slack = self._slack(concepts, rows)
        best = maxima.amax(0, keepdim=True) if self.k == 1 else _largest(maxima, self.k)
        best.clamp_(min=LEAST)  # what is masked is −∞, and 0 · ∞ no number
        lower = (best - self.rounding * best.abs() - slack).T
        self.top[rows] = _largest(torch.cat([self.top[rows], lower], 1).T, self.k).T
        threshold = self._threshold(rows, slack).clamp_(min=self._least())
        run, row = (maxima >= threshold).nonzero(as_tuple=True)
        near = runs[run, :, row].float()
        pair, offset = (near >= threshold[row].unsqueeze(1)).nonzero(as_tuple=True)
        score, row, run = near[pair, offset], row[pair], run[pair]
        upper = score + self.rounding * score.abs() + slack[row]
        found(row + rows.start, run * self.run + (offset + concepts.start), upper)

    def _maxima(self, runs: Tensor) -> Tensor:
        """(runs, n) float32; in bfloat16, wrong where negative, yet negative.

        bfloat16 numbers that are not negative are in the order of their bits, and integers are
        compared many times as fast.
        """
        if self.bfloat16:
            return runs.view(torch.int16).amax(1).view(torch.bfloat16).float()
        return runs.amax(1)

    def _slack(self, concepts: slice, rows: slice) -> Tensor:
        norm = self.dictionary.norms[concepts].max()
        # What is below float32's least normal number may count as 0; and this sum is rounded too.
        tiny = 4 * self.low.shape[1] * TINY * (1 + norm)
        return ((self.unsure[rows] * norm + tiny) * (1 + 2**-10)).float()

    def _threshold(self, rows: slice, slack: Tensor) -> Tensor:
        """The least score, of those with this slack, whose exact value may reach the k-th best."""
        reach = (self.top[rows, -1] - slack).clamp(min=LEAST)
        return reach - self.rounding * reach.abs()

    def _least(self) -> float:
        return TINY if self.bfloat16 else LEAST  # never what is masked


def _run_length(size: int, k: int) -> int:
    """Runs so short that the k-th largest maximum is nearly the k-th largest score."""
    run = RUN
    while run > 1 and (k > 1 and size < 16 * k * run):
        run //= 2
    return run


def _largest(values: Tensor, k: int) -> Tensor:
    """The k largest along the first axis, descending; fewer where there are fewer."""
    if k == 1:
        return values.amax(0, keepdim=True)
    return values.topk(min(k, len(values)), dim=0).values
