"""What has changed between two models, head by head: how much is another weight on what the base
already does, and how much is turned or new (method: adaptation).

ΔW = W₁ − W₀ is put into the base's singular bases, W₀ = U₀ Σ₀ V₀ᵀ with head_dim vectors a side:
C = U₀ᵀ ΔW V₀. Its diagonal says that singular values changed (**reweighting**); the rest of it that
the base's directions were coupled anew (**rotation** within them); what C does not hold reads or
writes along directions that the base had not (**new**). These parts are orthogonal, so that their
shares of ‖ΔW‖² add up to 1. To first order a small turn of the vectors is all rotation; a large one
takes weight from the base's own pairs, and counts there as reweighting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
import torch
from scipy.linalg import subspace_angles
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from sithctl.errors import InputError
from sithctl.evaluation.bootstrap import bootstrap
from sithctl.evaluation.results import Column, Evaluation, Progress, Record, Table, Tell, untold
from sithctl.kinds import Heads
from sithctl.stages.layers import select_layers
from sithctl.stages.svd import check_alike, one_thread, svd_of

ENERGY = 0.9  # of σ², which the vectors compared hold unless a rank is given
PARTS = ("reweighting", "rotation", "new_reading", "new_writing", "new_both")
SHARES = ("reweighting", "rotation", "new")
NOTE = (
    "change: ‖ΔW‖/‖W‖. Shares of ‖ΔW‖²: reweighting, the base's singular values changed; rotation, "
    "its directions coupled anew; new, directions that it had not. By chance: small random changes "
    "of the weights. left°, right°: mean principal angle of what the leading vectors read "
    "for and write; cosines: mean |cos u · cos v| of these vectors and their matches."
)


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


def drift(
    base: Heads,
    tuned: Heads,
    *,
    layers: str | None = None,
    rank: int | None = None,
    seed: int = 0,
    progress: Tell = untold,
) -> Evaluation:
    """Compare two models' heads.

    Args:
        base: from ``fold``.
        tuned: of the same architecture.
        layers: a selection; all that both hold when None.
        rank: leading vectors whose subspaces are compared; when None the fewest that carry 90% of
            the base head's σ². At full rank a subspace is all that the head can read or write at
            all: less than the width, so the comparison still says something, but the weakest
            vectors, which noise decides, count in it as much as the strongest.
        seed: of the bootstrap.

    Raises:
        InputError: the architectures differ, or a rank out of range.
    """
    check_alike(replace(tuned, layers={}), base)
    head_dim = int(base.architecture["head_dim"])
    if rank is not None and not 1 <= rank <= head_dim:
        raise InputError(f"no rank {rank}", base.model.name, f"1 to {head_dim}")
    chosen = _chosen(base, tuned, layers)
    records: list[Record] = []
    counted = Progress(progress, len(chosen))
    for layer in chosen:
        with one_thread():
            records += _layer_drift(base, tuned, layer, rank)
        counted.step()
    overall = _overall(records, seed)
    header = {
        "model": base.model.name,
        "tuned": tuned.model.name,
        "layers": chosen,
        "rank": rank,
        "seed": seed,
        "overall": overall,
    }
    tables = (_shares(overall, chance(base), f"{base.model.name} → {tuned.model.name}"),)
    return Evaluation("drift", header, (*tables, _table(records)), (NOTE,))


def _layer_drift(base: Heads, tuned: Heads, layer: int, rank: int | None) -> list[Record]:
    pairs = zip(_sides(base, layer), _sides(tuned, layer), strict=True)
    return [
        {"layer": layer, "head": head, "place": f"{layer}.{head}", **head_drift(*pair, rank)}
        for head, pair in enumerate(pairs)
    ]


def chance(base: Heads) -> dict[str, float]:
    """The shares that random small changes of A and B have: of ΔA B₀, as far as it lies in the
    base's left space, each row falls on every pair alike, and so for A₀ ΔB."""
    kept, width = int(base.architecture["head_dim"]), int(base.architecture["width"])
    if base.architecture.get("norm") == "layer-norm" and not base.plain:
        width -= 1  # centred
    kept = min(kept, width)
    return {
        "reweighting": 1 / width,
        "rotation": (kept - 1) / width,
        "new": 1 - kept / width,
    }


def _chosen(base: Heads, tuned: Heads, layers: str | None) -> list[int]:
    count, name = int(base.architecture["layers"]), base.model.name or "the heads"
    shared = sorted(base.layers.keys() & tuned.layers.keys())
    if layers is None and shared:
        return shared
    chosen = select_layers(layers, count, name, hint="or compare other models")
    for heads in (base, tuned):
        if missing := [layer for layer in chosen if layer not in heads.layers]:
            raise InputError(f"layer {missing[0]} is missing", heads.model.name, "fold it, too")
    return chosen


def _sides(heads: Heads, layer: int) -> list[Side]:
    factors = heads.layers[layer]
    reader, writer = (torch.from_numpy(a).double() for a in (factors.value, factors.output))
    return [Side(*parts) for parts in zip(reader, writer, *svd_of(reader, writer), strict=True)]


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
            "sigma_ratio": _ratio(float(tuned.sigma[j]), float(base.sigma[i])),
        }
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
        if i < kept
    ]


def _ratio(one: float, other: float) -> float | None:
    return one / other if other else None


def _overall(records: list[Record], seed: int) -> Record:
    """Of all heads as one: norms and parts of the squares add up; beside it the mean head."""
    squares = np.array([r["change_norm"] ** 2 for r in records])
    whole = float(np.sqrt(sum(r["base_norm"] ** 2 for r in records)))
    moved = np.flatnonzero(squares)
    shares: dict[str, Any] = {}
    for name in (*PARTS, "new"):
        parts = [squares[i] * records[i][name] for i in moved]
        shares[name] = sum(parts) / float(squares.sum()) if len(moved) else None
    mean = {name: _interval([records[i][name] for i in moved], seed) for name in SHARES}
    changes = [r["change"] for r in records]
    return {
        "heads": len(records),
        "changed_heads": len(moved),
        "change": _ratio(float(np.sqrt(squares.sum())), whole),
        **shares,
        "mean_head": {**mean, "change": _interval(changes, seed)},
        "mean_angle": {
            side: float(np.mean([r["mean_angle"][side] for r in records]))
            for side in ("left", "right")
        },
        "matched": float(np.mean([r["matched"] for r in records])),
    }


def _interval(values: list[float], seed: int) -> dict[str, float] | None:
    return bootstrap(np.array(values), seed).document() if values else None


def _shares(overall: Record, by_chance: dict[str, float], title: str) -> Table:
    rows = [
        {
            "of": name,
            "all": overall[name],
            "mean_head": overall["mean_head"][name],
            "chance": by_chance.get(name),
        }
        for name in ("change", *SHARES)
    ]
    columns = (
        Column("of", "", "text"),
        Column("all", "all heads as one", "share"),
        Column("mean_head", "mean head (95%)", "share"),
        Column("chance", "by chance", "share"),
    )
    return Table("shares", title, columns, rows)


def _table(records: list[Record]) -> Table:
    columns = (
        Column("place", "head", "text"),
        Column("change", "change", "share"),
        *(Column(name, name, "share") for name in SHARES),
        Column("mean_angle.left", "left°"),
        Column("mean_angle.right", "right°"),
        Column("matched", "cosines"),
    )
    return Table("heads", "By head", columns, records, limit=48)
