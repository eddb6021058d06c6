"""What is ablated at once, which directions its explanations mean, and what a change of features
shows along these and others.

The direction of an explanation is d = norm(Γ̂ᵀc), of each pole. Which pole a vector writes depends
on what it reads, so that a picture's effect is the larger |Δf · d| of its poles' directions, Δf the
change of its unit feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.errors import InputError
from sithctl.evaluation.results import Record
from sithctl.kinds import Codes
from sithctl.stages.explain import Explanation

GROUPS = ("vector", "head")


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


def units_of(codes: Codes, rows: Sequence[Explanation], group: str) -> list[Unit]:
    """What is ablated at once; vectors without any concept have no direction and are left out.

    Raises:
        InputError: none has one, or there are too few concepts to draw others from.
    """
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


def random_directions(
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


def measured(
    unit: Unit,
    group: str,
    change: Tensor,
    meant: Tensor,
    random: Iterator[Tensor],
    others: list[Tensor],
) -> Record:
    """One unit's figures; ratios are None where nothing changed or there is nothing else.

    Args:
        unit: that was ablated.
        group: what it is: ``vector`` or ``head``.
        change: (pictures, features) of the unit features.
        meant: (directions, features) by its explanations.
        random: others of its coefficients.
        others: those of the other units.
    """
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
