"""What has changed between two models, head by head, beside what chance would change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from sithctl.errors import InputError
from sithctl.evaluation.bootstrap import bootstrap
from sithctl.evaluation.head_drift import PARTS, SHARES, Side, head_drift, quotient
from sithctl.evaluation.results import Column, Evaluation, Progress, Record, Table, Tell, untold
from sithctl.kinds import Heads
from sithctl.stages.layers import select_layers
from sithctl.stages.svd import check_alike, one_thread, svd_of

NOTE = (
    "change: ‖ΔW‖/‖W‖. Shares of ‖ΔW‖²: reweighting, the base's singular values changed; rotation, "
    "its directions coupled anew; new, directions that it had not. By chance: small random changes "
    "of the weights. left°, right°: mean principal angle of what the leading vectors read "
    "for and write; cosines: mean |cos u · cos v| of these vectors and their matches."
)


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
        "change": quotient(float(np.sqrt(squares.sum())), whole),
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
