"""One head against the base's: how much is another weight on what the base already does, and how
much is turned or new (method: adaptation).

ΔW = W₁ − W₀ is put into the base's singular bases, W₀ = U₀ Σ₀ V₀ᵀ with head_dim vectors a side:
C = U₀ᵀ ΔW V₀. Its diagonal says that singular values changed (**reweighting**); the rest of it that
the base's directions were coupled anew (**rotation** within them); what C does not hold reads or
writes along directions that the base had not (**new**). These parts are orthogonal, so that their
shares of ‖ΔW‖² add up to 1. To first order a small turn of the vectors is all rotation; a large one
takes weight from the base's own pairs, and counts there as reweighting.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import torch
from scipy.linalg import subspace_angles
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from sithctl.evaluation.results import Record

ENERGY = 0.9  # of σ², which the vectors compared hold unless a rank is given
PARTS = ("reweighting", "rotation", "new_reading", "new_writing", "new_both")
SHARES = ("reweighting", "rotation", "new")


@dataclass(frozen=True)
class Side:
    """One head's thin factors and their singular value decomposition, float64.

    Attributes:
        reader: (width, head_dim); writer: (head_dim, width).
        left: (width, head_dim); sigma: (head_dim,); right: (head_dim, width).
    """

    reader: Tensor
    writer: Tensor
    left: Tensor
    sigma: Tensor
    right: Tensor


def head_drift(base: Side, tuned: Side, rank: int | None) -> Record:
    """One head's record."""
    kept = leading(base.sigma) if rank is None else rank
    whole, change = float(base.sigma.norm()), decompose(base, tuned)
    moved = change.pop("norm")
    angles = {
        "left": _angles(base.left[:, :kept], tuned.left[:, :kept]),
        "right": _angles(base.right[:kept].T, tuned.right[:kept].T),
    }
    matches = matched(base, tuned, kept)
    return {
        "change": moved / whole if whole else (0.0 if moved == 0 else inf),
        "change_norm": moved,
        "base_norm": whole,
        **change,
        "rank": kept,
        "angles": angles,
        "mean_angle": {side: float(np.mean(a)) for side, a in angles.items()},
        "matched": float(np.mean([abs(m["left"] * m["right"]) for m in matches])),
        "matches": matches,
    }


def leading(sigma: Tensor) -> int:
    """The fewest vectors that carry ``ENERGY`` of σ²; 1 of a head that does nothing."""
    squares = sigma.square().cumsum(0)
    return min(int((squares < ENERGY * squares[-1]).sum()) + 1, len(sigma))


def decompose(base: Side, tuned: Side) -> dict[str, Any]:
    """‖ΔW‖ and the shares of its square; None for shares of nothing.

    ΔW = (A₁ − A₀) B₁ + A₀ (B₁ − B₀): differences first, so that what is equal cancels to the bit.
    """
    P = torch.cat([tuned.reader - base.reader, base.reader], 1)
    Q = torch.cat([tuned.writer, tuned.writer - base.writer])
    inside_left, inside_right = base.left.T @ P, Q @ base.right.T
    C = inside_left @ inside_right
    outside_left, outside_right = P - base.left @ inside_left, Q - inside_right @ base.right
    squares = {
        "reweighting": C.diagonal().square().sum(),
        "rotation": (C - C.diagonal().diag()).square().sum(),
        "new_reading": product_square(outside_left, inside_right),
        "new_writing": product_square(inside_left, outside_right),
        "new_both": product_square(outside_left, outside_right),
    }
    found = {name: float(square) for name, square in squares.items()}
    total = sum(found.values())
    shares = {name: square / total if total else None for name, square in found.items()}
    new = sum(found[name] for name in PARTS[2:]) / total if total else None
    return {"norm": total**0.5, **shares, "new": new}


def product_square(left: Tensor, right: Tensor) -> Tensor:
    """‖left @ right‖² of thin factors; the product itself may be width × width."""
    if left.shape[0] <= left.shape[1] or right.shape[1] <= right.shape[0]:
        return (left @ right).square().sum()
    return (torch.linalg.qr(left)[1] @ torch.linalg.qr(right.T)[1].T).square().sum()


def _angles(one: Tensor, other: Tensor) -> list[float]:
    """Principal angles of two column spaces in degrees, ascending."""
    found = np.degrees(subspace_angles(one.numpy(), other.numpy()))
    return [float(angle) for angle in sorted(found)]


def matched(base: Side, tuned: Side, kept: int) -> list[Record]:
    """The leading vectors of the base, each with one of the tuned model's.

    One to one, so that Σ |cos u · cos v| over all of the head's is largest. A pair (u, v) has no
    sign of its own, so cos u is told as positive: where cos v then is negative, the head writes the
    opposite of what it did.
    """
    left, right = base.left.T @ tuned.left, base.right @ tuned.right.T
    rows, columns = linear_sum_assignment((left * right).abs().numpy(), maximize=True)
    return [
        {
            "sv": i,
            "match": j,
            "left": abs(float(left[i, j])),
            "right": float(right[i, j]) * (-1.0 if left[i, j] < 0 else 1.0),
            "sigma_ratio": quotient(float(tuned.sigma[j]), float(base.sigma[i])),
        }
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
        if i < kept
    ]


def quotient(one: float, other: float) -> float | None:
    """None where there is nothing to divide by."""
    return one / other if other else None
