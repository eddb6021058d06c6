"""What is to be done to which singular vectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from sithctl.kinds.base import Identity
from sithctl.kinds.shown import Shown, number_of, numbered


@dataclass(frozen=True)
class Change:
    """One singular value's factor, and why.

    Attributes:
        scale: α: σ becomes α σ; indices mean the unedited model's spectrum.
    """

    layer: int
    head: int
    sv: int
    scale: float
    why: str = ""

    @property
    def place(self) -> tuple[int, int, int]:
        return self.layer, self.head, self.sv


@dataclass(frozen=True, repr=False)
class Plan(Shown):
    """Changes to one model, a vector at most once, in the order of their places.

    Attributes:
        model: whose spectrum the places mean, with a digest for every layer touched; None where a
            file does not say.
    """

    changes: tuple[Change, ...]
    model: Identity | None = None

    @classmethod
    def of(cls, changes: Iterable[Change], model: Identity | None = None) -> Self:
        """A plan in which the last word on a vector counts."""
        by_place = {change.place: change for change in changes}
        return cls(tuple(by_place[place] for place in sorted(by_place)), model)

    @property
    def layers(self) -> list[int]:
        return sorted({change.layer for change in self.changes})

    def of_layer(self, layer: int) -> list[Change]:
        return [change for change in self.changes if change.layer == layer]

    def __repr__(self) -> str:
        where = f" in {numbered('layer', self.layers)}" if self.changes else ""
        name = "any model" if self.model is None else self.model.name
        return f"Plan({name}: {number_of(len(self.changes), 'change')}{where})"
