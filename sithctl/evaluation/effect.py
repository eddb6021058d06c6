"""Whether heads do what their explanations say: a vector's σ is set to 0 in the running model, and
what that does to image features is measured along the explanation.

The direction of an explanation is d = norm(Γ̂ᵀc), of each pole. Which pole a vector writes depends
on what it reads, so that a picture's effect is the larger |Δf · d| of its poles' directions, Δf the
change of its unit feature. Beside it stands what other directions show by the same measure: random
ones, with the same coefficients on other concepts that the codes use; and, sterner, the
explanations of the other vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.errors import InputError
from sithctl.evaluation.bootstrap import bootstrap
from sithctl.evaluation.results import Column, Evaluation, Progress, Record, Table, Tell, untold
from sithctl.kinds import Change, Codes, Plan
from sithctl.models.encoders import Batch, Encoder
from sithctl.models.live import edited
from sithctl.models.model import Model
from sithctl.stages.edit import edit
from sithctl.stages.explain import Explanation, explain
from sithctl.stages.ownership import check_codes
from sithctl.stages.svd import one_thread

DRAWS = 200  # random directions a unit
GROUPS = ("vector", "head")
NOTE = (
    "effect: mean over pictures of |Δf · d| when σ is set to 0, the larger of both poles'. × "
    "random: as a multiple of that of {draws} directions with the same coefficients on other "
    "concepts; × others: of that of the other {group}s' explanations. beats: share of the random "
    "directions with less. share: of ‖Δf‖² along the explanation."
)


@dataclass(frozen=True)
class Unit:
    """What is ablated at once.

    Attributes:
        places: (layer, head, sv) of its vectors.
        weights: (directions, K) coefficients, 0 where unused: a row a pole of a vector.
        concepts: (directions, K) rows of ``Codes.concepts``.
        labels: of the strongest concepts of its first vector's poles.
    """

    places: tuple[tuple[int, int, int], ...]
    weights: Tensor
    concepts: Tensor
    labels: tuple[str, ...]


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
    units = _units(codes, rows, group)
    vectors = F.normalize(torch.from_numpy(codes.concepts.vectors).double(), dim=-1)
    meant = [directions(unit.weights, vectors[unit.concepts]) for unit in units]
    counted = Progress(progress, len(units) + 1)
    base = _features(encoder, pictures)
    counted.step()
    records = []
    for i, unit in enumerate(units):
        plan = Plan.of(Change(*place, 0.0) for place in unit.places)
        with edited(encoder, model, edit(model, plan).changed):
            change = _features(encoder, pictures) - base
        generator = torch.Generator().manual_seed(seed * 1_000_003 + i)
        others = [d for j, d in enumerate(meant) if j != i]
        with one_thread():  # hundreds of products too small for more
            random = _random(unit, vectors, draws, generator)
            records.append(_record(unit, group, change, meant[i], random, others))
        counted.step()
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


def _units(codes: Codes, rows: Sequence[Explanation], group: str) -> list[Unit]:
    """What is ablated at once; vectors without any concept have no direction and are left out."""
    place = {int(index): i for i, index in enumerate(codes.concepts.indices)}
    together: dict[tuple[int, ...], list[Explanation]] = {}
    for row in rows:
        if row.concepts:
            key = (row.layer, row.head) if group == "head" else (row.layer, row.head, row.sv)
            together.setdefault(key, []).append(row)
    if not together:
        raise InputError("no explanation has a concept", codes.model.name, "choose other vectors")
    most = max(len(row.concepts) for row in rows)
    if len(codes.concepts.labels) < 2 * most:
        raise InputError(
            f"{len(codes.concepts.labels)} concepts in use, too few to draw others from",
            codes.model.name,
            "explain more vectors",
        )
    return [_unit(of_one, place, most) for of_one in together.values()]


def _unit(rows: list[Explanation], place: dict[int, int], most: int) -> Unit:
    weights, concepts = torch.zeros(len(rows), most).double(), torch.zeros(len(rows), most).long()
    for i, row in enumerate(rows):
        for k, concept in enumerate(row.concepts):
            weights[i, k], concepts[i, k] = concept.coefficient, place[concept.index]
    places = dict.fromkeys((row.layer, row.head, row.sv) for row in rows)
    first = [f"{row.pole} {row.concepts[0].concept}" for row in rows[:2]]
    return Unit(tuple(places), weights, concepts, tuple(first))


def directions(weights: Tensor, vectors: Tensor) -> Tensor:
    """d = norm(Γ̂ᵀc): (…, K) coefficients and (…, K, features) unit rows → (…, features)."""
    return F.normalize((weights.unsqueeze(-1) * vectors).sum(-2), dim=-1)


def _random(
    unit: Unit, vectors: Tensor, draws: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """So many times (directions, features): the unit's coefficients on concepts that none of its
    own explanations has, drawn without repetition within a direction; on any but a direction's own
    where its vectors have nearly all."""
    count = unit.concepts.shape[1]
    used = torch.zeros(len(unit.concepts), len(vectors), dtype=torch.bool)
    used[:, unit.concepts[unit.weights > 0]] = True
    if len(vectors) - int(used[0].sum()) < 2 * count:
        used = torch.zeros_like(used).scatter_(1, unit.concepts, True)
    for _ in range(draws):
        chance = torch.rand(used.shape, generator=generator).masked_fill(used, -1.0)
        yield directions(unit.weights, vectors[chance.topk(count, dim=-1).indices])


def _features(encoder: Encoder, pictures: Sequence[Batch]) -> Tensor:
    return F.normalize(encoder.encode_prepared(pictures).double(), dim=-1)


def _record(
    unit: Unit,
    group: str,
    change: Tensor,
    meant: Tensor,
    random: Iterator[Tensor],
    others: list[Tensor],
) -> Record:
    """One unit's figures; ratios are None where nothing changed or there is nothing else."""
    along, at_random = strength(change, meant), [strength(change, d) for d in random]
    beside = [strength(change, d) for d in others]
    found = float(along.mean())
    by_chance = np.array([float(a.mean()) for a in at_random])
    elsewhere = [float(a.mean()) for a in beside]
    whole = float(change.square().sum())
    layer, head, sv = unit.places[0]
    place = {"layer": layer, "head": head} | ({"sv": sv} if group == "vector" else {})
    return {
        **place,
        "place": ".".join(map(str, place.values())),
        "vectors": len(unit.places),
        "concepts": list(unit.labels),
        "change": float(change.norm(dim=-1).mean()),
        "effect": found,
        "random": float(by_chance.mean()),
        "ratio": _ratio(found, float(by_chance.mean())),
        "beats": float((by_chance < found).mean()) if whole else None,
        "others": float(np.mean(elsewhere)) if elsewhere else None,
        "others_ratio": _ratio(found, float(np.mean(elsewhere))) if elsewhere else None,
        "share": _ratio(float(along.square().sum()), whole),
        "random_share": _ratio(float(np.mean([float(a.square().sum()) for a in at_random])), whole),
    }


def strength(change: Tensor, towards: Tensor) -> Tensor:
    """(pictures,) the largest |Δf · d| of some directions (directions, features)."""
    return (change @ towards.T).abs().amax(1)


def _ratio(one: float, other: float) -> float | None:
    return one / other if other else None


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
