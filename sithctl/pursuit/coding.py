"""Sparse, non-negative coding of targets by concepts (SITH, Sec. 3.2; method: sparse coding)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.pursuit.methods import ALIASES, METHODS
from sithctl.pursuit.nnls import nnls
from sithctl.pursuit.search import best_concepts, largest_norm

BATCH = 1024

Progress = Callable[[int, int], None]


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
    dictionary: Tensor,
    *,
    method: str = "comp",
    sparsity: int = 5,
    coherence: float = 0.3,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> SparseCodes:
    """Explain every target by at most ``sparsity`` concepts with coefficients ≥ 0.

    Memory is N × (d + ``sparsity`` · d) numbers and a block of scores: never N × M.

    Args:
        targets: (N, d) unit rows.
        dictionary: (M, d) unit rows.
        method: ``comp``; ``nnomp`` (COMP without coherence); ``mp``; ``top-k``; or ``nearest``,
            the best similarities as they are, in rank order.
        sparsity: K.
        coherence: λ, the weight of a concept's mean similarity to those selected before it.
        batch_size: targets in one product; the result does not depend on it.
        progress: called with (steps done, steps in all).

    Raises:
        InputError: an unknown method, shapes that do not fit, NaN values, or too few concepts.

    >>> codes = sparse_code(torch.tensor([[0.6, 0.8]]), torch.eye(2), method="nnomp", sparsity=2)
    >>> codes.indices.tolist(), codes.coefficients.round(decimals=2).tolist()
    ([[1, 0]], [[0.800000011920929, 0.6000000238418579]])
    """
    method = ALIASES.get(method, method)
    _check(targets, dictionary, method, sparsity, coherence)
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # the error bound is that of float32
    try:
        pursuit = _Pursuit(targets, dictionary, sparsity, batch_size, progress)
        if method in {"top-k", "nearest"}:
            pursuit.select_most_similar()
        else:
            weight = coherence if method == "comp" else 0.0
            pursuit.select_greedily(weight, refit=method != "mp")
    finally:
        torch.set_float32_matmul_precision(precision)
    if method == "top-k":
        pursuit.refit()
    return pursuit.codes(in_rank_order=method == "nearest")


def _check(
    targets: Tensor, dictionary: Tensor, method: str, sparsity: int, coherence: float
) -> None:
    if method not in METHODS:
        raise InputError(f"no method {method}", None, f"one of {', '.join(METHODS)}")
    if targets.ndim != 2 or dictionary.ndim != 2 or targets.shape[1] != dictionary.shape[1]:
        raise InputError(
            f"targets {tuple(targets.shape)} and dictionary {tuple(dictionary.shape)} do not fit",
            None,
            "both are (rows, features) of the same features",
        )
    if not 1 <= sparsity <= len(dictionary):
        raise InputError(
            f"sparsity {sparsity} with {len(dictionary)} concepts", None, "1 ≤ K ≤ concepts"
        )
    if not (0 <= coherence < float("inf")):
        raise InputError(f"coherence {coherence}", None, "a number ≥ 0")
    for name, tensor in (("targets", targets), ("dictionary", dictionary)):
        if not bool(tensor.isfinite().all()):
            raise InputError(f"NaN or infinite values in the {name}")


class _Pursuit:
    """The state of N pursuits that go forward together, each on its own.

    What a row's result depends on is computed in float64, a row at a time or in sums whose order
    does not depend on the batch.
    """

    def __init__(
        self,
        targets: Tensor,
        dictionary: Tensor,
        sparsity: int,
        batch_size: int,
        progress: Progress | None,
    ) -> None:
        n, device = len(targets), targets.device
        self.targets = targets.double()
        self.dictionary = dictionary.float()
        self.scale = largest_norm(self.dictionary)
        self.sparsity = sparsity
        self.batch_size = batch_size
        self.progress = progress
        self.chosen = torch.full((n, sparsity), -1, dtype=torch.long, device=device)
        self.weights = torch.zeros(n, sparsity, dtype=torch.float64, device=device)
        self.gram = torch.zeros(n, sparsity, sparsity, dtype=torch.float64, device=device)
        self.moments = torch.zeros(n, sparsity, dtype=torch.float64, device=device)

    def select_most_similar(self) -> None:
        """Top-k and nearest: the K largest ⟨p̂, γ⟩ at once."""
        best = best_concepts(
            self.targets,
            self.dictionary,
            self.sparsity,
            self.chosen[:, :0],
            batch_size=self.batch_size,
            scale=self.scale,
        )
        self.weights = best.scores.clone()
        for step in range(self.sparsity):
            self._take(step, best.indices[:, step])
        self._tell(1, 1)

    def select_greedily(self, weight: float, *, refit: bool) -> None:
        """COMP's selection is one inner product, with r + λ · mean(selected); λ = 0 is NNOMP."""
        for step in range(self.sparsity):
            residual = self._residual()
            query = residual
            if weight and step:
                query = residual + weight * self._selected_mean(step)
            best = best_concepts(
                query,
                self.dictionary,
                1,
                self.chosen[:, :step],
                batch_size=self.batch_size,
                scale=self.scale,
            )
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
        residual = self._residual().norm(dim=1).float()
        indices, weights = self.chosen, self.weights.float()
        if not in_rank_order:
            indices = torch.where(weights > 0, indices, -1)
            weights = torch.where(weights > 0, weights, 0.0)
            order = torch.argsort(weights, dim=1, descending=True, stable=True)
            indices, weights = indices.gather(1, order), weights.gather(1, order)
        return SparseCodes(indices, weights, residual)

    def _take(self, step: int, indices: Tensor) -> None:
        """Select one concept a target, and extend the Gram matrix and the moments by it."""
        self.chosen[:, step] = indices
        for rows in _row_blocks(len(indices), self.targets.shape[1] * (step + 1)):
            new = self.dictionary[indices[rows]].double()
            self.moments[rows, step] = (self.targets[rows] * new).sum(1)
            old = self.dictionary[self.chosen[rows, : step + 1]].double()
            products = (old * new.unsqueeze(1)).sum(2)
            self.gram[rows, step, : step + 1] = products
            self.gram[rows, : step + 1, step] = products

    def _residual(self) -> Tensor:
        residual = self.targets.clone()
        for step in range(self.sparsity):
            rows = (self.weights[:, step] != 0).nonzero().squeeze(1)
            concepts = self.dictionary[self.chosen[rows, step]].double()
            residual[rows] -= self.weights[rows, step, None] * concepts
        return residual

    def _selected_mean(self, used: int) -> Tensor:
        mean = torch.zeros_like(self.targets)
        for step in range(used):
            mean += self.dictionary[self.chosen[:, step]].double()
        return mean / used

    def _tell(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(done, total)


def _row_blocks(n: int, row_size: int) -> list[slice]:
    size = max(1, (1 << 24) // max(1, row_size))
    return [slice(start, start + size) for start in range(0, n, size)]
