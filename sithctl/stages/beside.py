"""Two explanations of the same vectors, side by side. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sithctl.errors import InputError
from sithctl.kinds import Codes
from sithctl.stages.choice import Choice, arranged, chosen
from sithctl.stages.explain import Explanation
from sithctl.stages.summary import shared_layers

SIGMA = 1e-3  # how far σ of the same vectors may lie apart, relative to the head's largest


@dataclass(frozen=True)
class Pair:
    """One pole of one vector, explained twice; at most one of the two is missing."""

    first: Explanation | None
    second: Explanation | None

    @property
    def faces(self) -> tuple[Explanation, ...]:
        return tuple(e for e in (self.first, self.second) if e is not None)


def beside(codes: Codes, other: Codes, choice: Choice, where: object = None) -> list[Pair]:
    """What is asked for of both, of the layers that they share.

    Args:
        where: what errors call the other codes.

    Raises:
        InputError: they do not explain the same vectors, or have no layer in common.
    """
    layers = shared_layers([codes], [other])
    check_same_vectors(codes, other, layers, where)
    whole = replace(choice, top=None, pattern=None, order=None)
    sides = [_by_place(_of(one, layers), whole) for one in (codes, other)]
    keys = sorted(sides[0].keys() | sides[1].keys())  # "+" comes before "-"
    pairs = [Pair(sides[0].get(key), sides[1].get(key)) for key in keys]
    return arranged(pairs, choice, lambda pair: pair.faces)


def check_same_vectors(codes: Codes, other: Codes, layers: list[int], where: object) -> None:
    """Refuse codes of other weights, or of the same ones folded otherwise."""
    html = "`--format html --compare` sets two models side by side"
    mine, theirs = codes.model, other.model
    both_known = [n for n in layers if n in mine.layers and n in theirs.layers]
    if any(mine.layers[n] != theirs.layers[n] for n in both_known) or _unlike(
        mine.space, theirs.space
    ):
        raise InputError(f"codes of another model ({theirs.name}, not {mine.name})", where, html)
    if not layers:
        have = ", ".join(map(str, sorted(other.layers)))
        ours = ", ".join(map(str, sorted(codes.layers)))
        what = f"no layer in common: those have {have}, these {ours}"
        raise InputError(what, where, "decompose both with the same --layers")
    for n in layers:
        a, b = codes.layers[n].singular_values, other.layers[n].singular_values
        rank = min(a.shape[1], b.shape[1])
        if not np.all(np.abs(a[:, :rank] - b[:, :rank]) <= SIGMA * a[:, :1]):
            todo = f"fold both alike (--plain or not); {html}"
            raise InputError(f"codes of other vectors: σ of layer {n} differ", where, todo)


def _unlike(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _of(codes: Codes, layers: list[int]) -> Codes:
    return replace(codes, layers={n: codes.layers[n] for n in layers})


def _by_place(codes: Codes, choice: Choice) -> Mapping[tuple[int, int, int, str], Explanation]:
    return {(e.layer, e.head, e.sv, e.pole): e for e in chosen(codes, choice)}
