"""Whether heads do what their explanations say: a vector's σ is set to 0 in the running model, and
what that does to image features is measured along the explanation.

Beside it stands what other directions show by the same measure (``ablation``): random ones, with
the same coefficients on other concepts that the codes use; and, sterner, the explanations of the
other vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.errors import InputError
from sithctl.evaluation.ablation import (
    GROUPS,
    Unit,
    directions,
    measured,
    random_directions,
    units_of,
)
from sithctl.evaluation.bootstrap import bootstrap
from sithctl.evaluation.results import Column, Evaluation, Progress, Record, Table, Tell, untold
from sithctl.kinds import Change, Codes, Plan
from sithctl.models.encoders import Batch, Encoder
from sithctl.models.live import edited
from sithctl.models.model import Model
from sithctl.stages.edit import edit
from sithctl.stages.explain import explain
from sithctl.stages.ownership import check_codes
from sithctl.stages.svd import one_thread

DRAWS = 200  # random directions a unit
NOTE = (
    "effect: mean over pictures of |Δf · d| when σ is set to 0, the larger of both poles'. × "
    "random: as a multiple of that of {draws} directions with the same coefficients on other "
    "concepts; × others: of that of the other {group}s' explanations. beats: share of the random "
    "directions with less. share: of ‖Δf‖² along the explanation."
)


def effect(
    model: Model,
    codes: Codes,
    encoder: Encoder,
    pictures: Sequence[Batch],
    *,
    layer: str | None = None,
    head: str | None = None,
    sv: str | None = None,
    top: int | None = None,
    group: str = "vector",
    draws: int = DRAWS,
    seed: int = 0,
    progress: Tell = untold,
) -> Evaluation:
    """Ablate vectors, or heads' vectors at once, and measure what goes along the explanations.

    Args:
        model: opened; the codes must be of its very weights.
        codes: of right singular vectors.
        encoder: of the same model; it is left as it was.
        pictures: from ``encoder.prepare``.
        layer, head, sv, top: which explanations, as ``explain`` takes them.
        group: ``vector``, or ``head``: all chosen vectors of a head at once.
        draws: random directions a unit.
        seed: of these and of the bootstrap.

    Raises:
        InputError: codes of other weights, of left vectors or of a text tower; no pictures; too few
            concepts to draw others from.
    """
    _check(model, codes, pictures, group)
    rows = explain(codes, layer=layer, head=head, sv=sv, top=top)
    units = units_of(codes, rows, group)
    vectors = F.normalize(torch.from_numpy(codes.concepts.vectors).double(), dim=-1)
    meant = [directions(unit.weights, vectors[unit.concepts]) for unit in units]
    records = []
    for i, change in enumerate(_changes(model, encoder, pictures, units, progress)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + i)
        others = [d for j, d in enumerate(meant) if j != i]
        with one_thread():  # hundreds of products too small for more
            random = random_directions(units[i], vectors, draws, generator)
            records.append(measured(units[i], group, change, meant[i], random, others))
    header = {
        "model": model.name,
        "pictures": len(pictures),
        "group": group,
        "draws": draws,
        "seed": seed,
        "overall": (overall := _overall(records, seed)),
    }
    title = f"{model.name}: {_number(records, group)} ablated, {_number(pictures, 'picture')}"
    tables = (_summary(overall, title), _heads(records), _table(records, group))
    return Evaluation("effect", header, tables, (NOTE.format(draws=draws, group=group),))


def _number(things: Sequence[Any], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def check_measurable(codes: Codes) -> None:
    """Refuse codes that no picture can say anything of.

    Raises:
        InputError: of left vectors, or of a text tower.
    """
    where = codes.model.name
    if codes.parameters.get("side") == "left":
        raise InputError(
            "codes of left vectors, which say what heads read for", where, "decompose --side right"
        )
    if codes.architecture.get("tower", "vision") != "vision":
        raise InputError("codes of a text tower, which no image passes", where, "give the vision's")


def _check(model: Model, codes: Codes, pictures: Sequence[Batch], group: str) -> None:
    check_measurable(codes)
    if group not in GROUPS:
        raise InputError(f"no group {group}", None, f"one of {', '.join(GROUPS)}")
    if not pictures:
        raise InputError("no pictures", None, "name some with --data")
    check_codes(codes, model)


def _changes(
    model: Model,
    encoder: Encoder,
    pictures: Sequence[Batch],
    units: Sequence[Unit],
    progress: Tell,
) -> Iterator[Tensor]:
    """(pictures, features) a unit: how its ablation changes unit features."""
    counted = Progress(progress, len(units) + 1)
    base = _features(encoder, pictures)
    counted.step()
    for unit in units:
        plan = Plan.of(Change(*place, 0.0) for place in unit.places)
        with edited(encoder, model, edit(model, plan).changed):
            change = _features(encoder, pictures) - base
        yield change
        counted.step()


def _features(encoder: Encoder, pictures: Sequence[Batch]) -> Tensor:
    return F.normalize(encoder.encode_prepared(pictures).double(), dim=-1)


FIGURES = ("effect", "random", "ratio", "beats", "others_ratio", "share", "random_share")


def _overall(records: list[Record], seed: int) -> Record:
    """The mean unit, with an interval over units."""
    found: Record = {"units": len(records)}
    for key in FIGURES:
        values = np.array([r[key] for r in records if r[key] is not None])
        found[key] = bootstrap(values, seed).document() if len(values) else None
    return found


def _summary(overall: Record, title: str) -> Table:
    by_chance = (overall["random_share"] or {}).get("mean")
    rows = [
        ("effect / effect of random directions", overall["ratio"], 1.0),
        ("effect / effect along other explanations", overall["others_ratio"], 1.0),
        ("share of random directions beaten", overall["beats"], 0.5),
        ("share of ‖Δf‖² along the explanation", overall["share"], by_chance),
    ]
    records = [{"figure": name, "mean": mean, "chance": by} for name, mean, by in rows]
    columns = (
        Column("figure", "", "text"),
        Column("mean", "mean (95%)"),
        Column("chance", "by chance"),
    )
    return Table("summary", title, columns, records)


def _heads(records: list[Record]) -> Table:
    """Heads by how far their vectors' effect stands above chance."""
    by_head: dict[tuple[int, int], list[Record]] = {}
    for record in records:
        by_head.setdefault((record["layer"], record["head"]), []).append(record)
    rows = [
        {"layer": layer, "head": head, "place": f"{layer}.{head}", **_mean(of_one)}
        for (layer, head), of_one in by_head.items()
    ]
    rows.sort(key=lambda row: -(row["ratio"] or 0.0))
    columns = (
        Column("place", "head", "text"),
        Column("change", "‖Δf‖", "fine"),
        Column("effect", "effect", "fine"),
        Column("ratio", "× random"),
        Column("others_ratio", "× others"),
        Column("beats", "beats", "share"),
        Column("share", "share", "share"),
    )
    return Table("heads", "Heads, strongest first", columns, rows, limit=24)


def _mean(records: list[Record]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in ("change", *FIGURES):
        values = [r[key] for r in records if r[key] is not None]
        found[key] = float(np.mean(values)) if values else None
    return found


def _table(records: list[Record], group: str) -> Table:
    columns = (
        Column("place", group, "text"),
        Column("effect", "effect", "fine"),
        Column("ratio", "× random"),
        Column("others_ratio", "× others"),
        Column("share", "share", "share"),
        Column("concepts", "concepts", "text"),
    )
    return Table("units", f"By {group}", columns, records, limit=16)
