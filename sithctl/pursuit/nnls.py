"""Non-negative least squares on small Gram matrices, exact and batched.

Lawson and Hanson's active set (Solving Least Squares Problems, ch. 23), one problem a row. Every
row runs until *it* has converged: judged on the batch, an answer would depend on its neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Of a gradient on unit vectors, below which a concept does not enter: what rounding to float32
# makes of 0. The rows of a centred pool add up to 0 when weighted, but for that rounding: of a pool
# of five, the fifth would else enter with coefficients of millions.
TOLERANCE = 1e-6


def nnls(gram: Tensor, moments: Tensor, start: Tensor | None = None) -> Tensor:
    """Minimise cᵀGc − 2bᵀc over c ≥ 0.

    Args:
        gram: (n, k, k) float64, G.
        moments: (n, k) float64, b.
        start: (n, k), a feasible point to start from, such as the solution with one concept less.

    Returns:
        (n, k) float64.

    >>> nnls(torch.eye(2).double()[None], torch.tensor([[2.0, -1.0]]).double())
    tensor([[2., 0.]], dtype=torch.float64)
    """
    n, k = moments.shape
    solution = torch.zeros_like(moments) if start is None else start.clone()
    passive = solution > 0
    # A warm start is feasible, yet not optimal on its own passive set.
    rows = passive.any(1).nonzero().squeeze(1)
    _settle(gram, moments, solution, passive, rows)
    rows = torch.arange(n, device=moments.device)
    for _ in range(3 * k + 3):  # Lawson–Hanson ends; rounding must not be able to make it cycle
        gradient = moments[rows] - (gram[rows] * solution[rows].unsqueeze(1)).sum(-1)
        gradient = gradient.masked_fill(passive[rows], -torch.inf)
        best, entering = gradient.max(1)
        going = best > TOLERANCE
        rows, entering = rows[going], entering[going]
        if not len(rows):
            break
        passive[rows, entering] = True
        _settle(gram, moments, solution, passive, rows)
    return solution


def _settle(gram: Tensor, moments: Tensor, solution: Tensor, passive: Tensor, rows: Tensor) -> None:
    """Solve on the passive set; step back to the border, and drop from it, while a coefficient
    would turn negative."""
    k = moments.shape[1]
    for _ in range(k + 1):
        if not len(rows):
            return
        free = passive[rows]
        wanted = _solve(gram[rows], moments[rows], free)
        blocked = free & (wanted <= 0)
        done = ~blocked.any(1)
        solution[rows[done]] = wanted[done]
        rows, free, wanted, blocked = rows[~done], free[~done], wanted[~done], blocked[~done]
        if not len(rows):
            return
        now = solution[rows]
        ratio = torch.where(blocked, now / (now - wanted), torch.inf)
        step = ratio.amin(1, keepdim=True)
        leaving = blocked & (ratio <= step)
        moved = torch.where(free & ~leaving, now + step * (wanted - now), 0.0).clamp(min=0)
        solution[rows] = moved
        passive[rows] = free & ~leaving & (moved > 0)


def _solve(gram: Tensor, moments: Tensor, free: Tensor) -> Tensor:
    """The unconstrained solution on the free variables, zero elsewhere."""
    both = free.unsqueeze(2) & free.unsqueeze(1)
    eye = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    system = torch.where(both, gram, eye)
    right = torch.where(free, moments, 0.0)
    solved, info = torch.linalg.solve_ex(system, right.unsqueeze(2))
    singular = (info > 0).nonzero().squeeze(1)
    if len(singular):  # dependent concepts: any least-squares solution will do
        inverse = torch.linalg.pinv(system[singular], hermitian=True)
        solved[singular] = inverse @ right[singular].unsqueeze(2)
    return torch.where(free, solved.squeeze(2), 0.0)
