"""Explanations, one by one and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

from sithctl.kinds.pool import Factors
from sithctl.kinds.shown import Shown, number_of

LINES = 10  # of a text, which is there to be recognised
REMOVED = 1e-12  # of a head's Σσ²: σ below a millionth is what rounding leaves of a 0


@dataclass(frozen=True)
class WeightedConcept:
    """A concept of an explanation: its label, coefficient, place in the pool, and factors.

    Attributes:
        image: an image pool's id of it.
        detail: its second, longer caption.
        thumbnail: a small JPEG of it.
    """

    concept: str
    coefficient: float
    index: int
    factors: Factors | None = None
    image: str | None = None
    detail: str | None = None
    thumbnail: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Fidelity:
    """Cosines; None where the read-out is more than a norm and a linear map."""

    feature: float | None
    residual: float | None
    residual_ceiling: float | None


@dataclass(frozen=True, repr=False)
class Explanation:
    """One pole of one singular vector, explained.

    Attributes:
        energy: σ² as a share of the whole head's.
        degenerate: a neighbour's σ is too near to tell the two vectors apart.
        concepts: by descending coefficient.
        grade: how far to trust it, ``A`` to ``D``; None where the codes are not graded.
        reasons: what keeps it from an A, of ``REASONS``.
    """

    layer: int
    head: int
    sv: int
    side: str
    pole: str
    singular_value: float
    energy: float
    degenerate: bool
    fidelity: Fidelity
    concepts: tuple[WeightedConcept, ...]
    grade: str | None = None
    reasons: tuple[str, ...] = ()

    @property
    def removed(self) -> bool:
        """Whether σ is nothing but rounding beside the whole head's: an edit scaled it by 0."""
        return self.energy < REMOVED

    def __repr__(self) -> str:
        # Labels come from anybody: their own repr escapes what could control a terminal.
        said = ", ".join(f"{c.concept!r} {c.coefficient:.2f}" for c in self.concepts)
        place = f"{self.layer}.{self.head}.{self.sv}{self.pole}"
        grade = f" {self.grade}" if self.grade else ""
        return f"<{place} σ {self.singular_value:.3g}{grade}: {said or 'no concept'}>"


@dataclass(frozen=True, repr=False)
class Explanations(Shown, Sequence[Explanation]):
    """Explanations in the order of layer, head, vector and pole: a sequence that is a table.

    Attributes:
        rows: one an explanation.
        model: whose, by name.
    """

    rows: tuple[Explanation, ...]
    model: str | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.rows)

    @overload
    def __getitem__(self, place: int) -> Explanation: ...

    @overload
    def __getitem__(self, place: slice) -> Explanations: ...

    def __getitem__(self, place: int | slice) -> Explanation | Explanations:
        if isinstance(place, slice):
            return Explanations(self.rows[place], self.model)
        return self.rows[place]

    def __repr__(self) -> str:
        lines = [f"{number_of(len(self), 'explanation')} of {self.model or 'a model'}"]
        lines += [f"  {row!r}" for row in self.rows[:LINES]]
        if len(self) > LINES:
            lines.append(f"  and {len(self) - LINES} more")
        return "\n".join(lines)
