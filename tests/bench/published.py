"""COMP as published: plain float32, the yardstick of the bench.

Batches of 64 targets; a step is a product for the residual, one for the mean of the selected, a
boolean mask, 100 sweeps of coordinate descent with an early stop for the coefficients, and a dense
code matrix whose product with the dictionary is the reconstruction.
"""

from __future__ import annotations

import torch
from torch import Tensor


def published_comp(
    targets: Tensor, dictionary: Tensor, sparsity: int = 5, coherence: float = 0.3, batch: int = 64
) -> tuple[Tensor, Tensor]:
    """(N, K) concepts in the order of selection, and (N, K) coefficients."""
    parts = [_batch(part, dictionary, sparsity, coherence) for part in targets.split(batch)]
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])


def _batch(
    targets: Tensor, dictionary: Tensor, sparsity: int, coherence: float
) -> tuple[Tensor, Tensor]:
    n, size = len(targets), len(dictionary)
    everyone = torch.arange(n)
    taken = torch.zeros(n, size, dtype=torch.bool)
    chosen = torch.zeros(n, 0, dtype=torch.long)
    codes = torch.zeros(n, size)
    coefficients = torch.zeros(n, 0)
    residual = targets
    for step in range(sparsity):
        scores = residual @ dictionary.T
        if step:
            scores += coherence * (dictionary[chosen].mean(1) @ dictionary.T)
        scores.masked_fill_(taken, -torch.inf)
        best = scores.argmax(1)
        taken[everyone, best] = True
        chosen = torch.cat([chosen, best[:, None]], 1)
        coefficients = _nnls(targets, dictionary[chosen])
        codes.scatter_(1, chosen, coefficients)
        residual = targets - codes @ dictionary
    return chosen, coefficients


def _nnls(targets: Tensor, concepts: Tensor, sweeps: int = 100, tolerance: float = 1e-6) -> Tensor:
    """Cyclic coordinate descent on the Gram matrix; the batch stops together."""
    gram = concepts @ concepts.transpose(1, 2)
    moments = (concepts @ targets[:, :, None]).squeeze(2)
    solution = torch.zeros_like(moments)
    for _ in range(sweeps):
        before = solution.clone()
        for j in range(moments.shape[1]):
            gradient = moments[:, j] - (gram[:, j] * solution).sum(1)
            solution[:, j] = (solution[:, j] + gradient / gram[:, j, j]).clamp(min=0)
        if float((solution - before).abs().max()) < tolerance:
            break
    return solution
