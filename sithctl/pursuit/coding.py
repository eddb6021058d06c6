"""Sparse, non-negative coding of targets by concepts (SITH, Sec. 3.2; method: sparse coding)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.pursuit.certify import GATHERED, Best
from sithctl.pursuit.dictionary import Dictionary, Held, Rows, batches
from sithctl.pursuit.methods import ALIASES, METHODS
from sithctl.pursuit.nnls import nnls
from sithctl.pursuit.screen import full_accumulation
from sithctl.pursuit.search import Tally, best_concepts, prepare

BATCH = 1024

Progress = Callable[[int, int], None]
Report = Callable[[Tally], None]


@dataclass(frozen=True)
class SparseCodes:
    """Codes of targets.

    Attributes:
        indices: (N, K) int64 into the dictionary, by descending coefficient; −1 where unused.
        coefficients: (N, K) float32, 0 where unused.
        residual_norm: (N,) float32, ‖p̂ − Γ̂ᵀc‖.
    """

    indices: Tensor
    coefficients: Tensor
    residual_norm: Tensor


def sparse_code(
    targets: Tensor,
    dictionary: Tensor | Rows | Dictionary,
    *,
    method: str = "comp",
    sparsity: int = 5,
    coherence: float = 0.3,
    batch_size: int = BATCH,
    screen: bool | None = None,
    progress: Progress | None = None,
    report: Report | None = None,
) -> SparseCodes:
    """Explain every target by at most ``sparsity`` concepts with coefficients ≥ 0.

    Memory is N × (d + ``sparsity`` · d) numbers, a block of scores, and what the dictionary takes:
    half of its size when screened, a block where it is read in every pass. Never N × M.

    Args:
        targets: (N, d) unit rows.
        dictionary: (M, d) unit rows: a tensor; a source of blocks; or either made ready by
            ``prepare``, which is done once for many calls.
        method: ``comp``; ``nnomp`` (COMP without coherence); ``mp``; ``top-k``; or ``nearest``,
            the best similarities as they are, in rank order.
        sparsity: K.
        coherence: λ, the weight of a concept's mean similarity to those selected before it.
        batch_size: targets in one product; the result does not depend on it.
        screen: whether products in bfloat16 come before those in float32; None where that pays.
            The result does not depend on it.
        progress: called with (steps done, steps in all).
        report: called at the end with what was scored how often.

    Raises:
        InputError: an unknown method, shapes that do not fit, NaN values, or too few concepts.

    >>> codes = sparse_code(torch.tensor([[0.6, 0.8]]), torch.eye(2), method="nnomp", sparsity=2)
    >>> codes.indices.tolist(), codes.coefficients.round(decimals=2).tolist()
    ([[1, 0]], [[0.800000011920929, 0.6000000238418579]])
    """
    method = ALIASES.get(method, method)
    rows = Held(dictionary) if isinstance(dictionary, Tensor) else dictionary
    _check(
        targets, rows.rows if isinstance(rows, Dictionary) else rows, method, sparsity, coherence
    )
    ready = rows if isinstance(rows, Dictionary) else prepare(rows, len(targets), screen)
    pursuit = _Pursuit(targets, ready, sparsity, batch_size, progress)
    with full_accumulation():
        if method in {"top-k", "nearest"}:
            pursuit.select_most_similar()
        else:
            weight = coherence if method == "comp" else 0.0
            pursuit.select_greedily(weight, refit=method != "mp")
    if method == "top-k":
        pursuit.refit()
    if report is not None:
        report(pursuit.tally)
    return pursuit.codes(in_rank_order=method == "nearest")


def _check(targets: Tensor, dictionary: Rows, method: str, sparsity: int, coherence: float) -> None:
    if method not in METHODS:
        raise InputError(f"no method {method}", None, f"one of {', '.join(METHODS)}")
    if targets.ndim != 2 or len(dictionary.shape) != 2 or targets.shape[1] != dictionary.shape[1]:
        raise InputError(
            f"targets {tuple(targets.shape)} and dictionary {tuple(dictionary.shape)} do not fit",
            None,
            "both are (rows, features) of the same features",
        )
    if not 1 <= sparsity <= dictionary.shape[0]:
        raise InputError(
            f"sparsity {sparsity} with {dictionary.shape[0]} concepts", None, "1 ≤ K ≤ concepts"
        )
    if not (0 <= coherence < float("inf")):
        raise InputError(f"coherence {coherence}", None, "a number ≥ 0")
    if not bool(targets.isfinite().all()):
        raise InputError("NaN or infinite values in the targets")


class _Pursuit:
    """The state of N pursuits that go forward together, each on its own.

    What a row's result depends on is computed in float64, a row at a time or in sums whose order
    does not depend on the batch.
    """

    def __init__(
        self,
        targets: Tensor,
        dictionary: Dictionary,
        sparsity: int,
        batch_size: int,
        progress: Progress | None,
    ) -> None:
        (n, width), device = targets.shape, targets.device
        self.targets = targets.double()
        self.dictionary = dictionary
        self.sparsity = sparsity
        self.batch_size = batch_size
        self.progress = progress
        self.tally = Tally()
        self.chosen = torch.full((n, sparsity), -1, dtype=torch.long, device=device)
        self.concepts = torch.zeros(n, sparsity, width, device=device)
        self.weights = torch.zeros(n, sparsity, dtype=torch.float64, device=device)
        self.gram = torch.zeros(n, sparsity, sparsity, dtype=torch.float64, device=device)
        self.moments = torch.zeros(n, sparsity, dtype=torch.float64, device=device)

    def select_most_similar(self) -> None:
        """Top-k and nearest: the K largest ⟨p̂, γ⟩ at once."""
        best = self._best(self.targets, self.sparsity, 0)
        self.weights = best.scores.clone()
        for step in range(self.sparsity):
            self._take(step, best.indices[:, step])
        self._tell(1, 1)

    def select_greedily(self, weight: float, *, refit: bool) -> None:
        """COMP's selection is one inner product, with r + λ · mean(selected); λ = 0 is NNOMP."""
        query = self.targets.clone()
        for step in range(self.sparsity):
            self._query(step, weight, query)
            best = self._best(query, 1, step)
            self._take(step, best.indices[:, 0])
            if refit:
                self.refit(step + 1)
            else:
                self.weights[:, step] = best.scores[:, 0].clamp(min=0)
            self._tell(step + 1, self.sparsity)

    def refit(self, used: int | None = None) -> None:
        """Coefficients of all that are selected, by non-negative least squares."""
        k = self.sparsity if used is None else used
        start = self.weights[:, :k] if used is not None else None
        self.weights[:, :k] = nnls(self.gram[:, :k, :k], self.moments[:, :k], start)

    def codes(self, *, in_rank_order: bool) -> SparseCodes:
        """Concepts by descending coefficient; what fell to 0 leaves only now."""
        residual = torch.empty_like(self.targets)
        self._query(self.sparsity, 0.0, residual)
        norm = residual.norm(dim=1).float()
        indices, weights = self.chosen, self.weights.float()
        if not in_rank_order:
            indices = torch.where(weights > 0, indices, -1)
            weights = torch.where(weights > 0, weights, 0.0)
            order = torch.argsort(weights, dim=1, descending=True, stable=True)
            indices, weights = indices.gather(1, order), weights.gather(1, order)
        return SparseCodes(indices, weights, norm)

    def _best(self, query: Tensor, k: int, step: int) -> Best:
        best, tally = best_concepts(
            query, self.dictionary, k, self.chosen[:, :step], batch_size=self.batch_size
        )
        self.tally += tally
        return best

    def _take(self, step: int, indices: Tensor) -> None:
        """Select one concept a target, and extend the Gram matrix and the moments by it."""
        self.chosen[:, step] = indices
        for rows in self._row_blocks(step + 2):
            self.concepts[rows, step] = self.dictionary.rows.take(indices[rows])
            concepts = self.concepts[rows, : step + 1].double()
            new = concepts[:, step]
            self.moments[rows, step] = (self.targets[rows] * new).sum(1)
            products = (concepts * new.unsqueeze(1)).sum(2)
            self.gram[rows, step, : step + 1] = products
            self.gram[rows, : step + 1, step] = products

    def _query(self, used: int, weight: float, out: Tensor) -> None:
        """r + λ · mean(selected), into (N, d) float64."""
        for rows in self._row_blocks(3):
            query, total = out[rows].copy_(self.targets[rows]), torch.zeros_like(out[rows])
            for step in range(used):
                concept = self.concepts[rows, step].double()
                total += concept
                query -= concept.mul_(self.weights[rows, step, None])
            if weight and used:
                query += total.div_(used).mul_(weight)

    def _tell(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(done, total)

    def _row_blocks(self, vectors: int) -> Iterator[slice]:
        return batches(len(self.targets), max(1, GATHERED // (vectors * self.targets.shape[1])))
