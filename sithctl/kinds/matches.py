"""What a search finds: explanations with how much of each was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from sithctl.kinds.explanations import LINES, Explanation
from sithctl.kinds.shown import Shown, number_of


@dataclass(frozen=True, repr=False)
class Match:
    """An explanation that says what was asked for.

    Attributes:
        weight: the share of its coefficients that is on matching concepts; by similarity, the mean
            of its concepts' weighted by coefficient.
        phrase: which of the phrases it says most.
        alike: of each of its concepts, how like the nearest phrase it is: 0 or 1 by words.
    """

    explanation: Explanation
    weight: float
    phrase: str
    alike: tuple[float, ...]

    def __repr__(self) -> str:
        return f"{self.weight:.2f} {self.phrase!r} {self.explanation!r}"


@dataclass(frozen=True, repr=False)
class Matches(Shown, Sequence[Match]):
    """Matches, the best first: a sequence that is a table.

    Attributes:
        rows: one a match.
        phrases: what was asked for.
        model: whose, by name.
    """

    rows: tuple[Match, ...]
    phrases: tuple[str, ...]
    model: str | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.rows)

    @overload
    def __getitem__(self, place: int) -> Match: ...

    @overload
    def __getitem__(self, place: slice) -> Matches: ...

    def __getitem__(self, place: int | slice) -> Match | Matches:
        if isinstance(place, slice):
            return Matches(self.rows[place], self.phrases, self.model)
        return self.rows[place]

    def __repr__(self) -> str:
        asked = ", ".join(map(repr, self.phrases))
        lines = [f"{number_of(len(self), 'explanation')} of {self.model or 'a model'} on {asked}"]
        lines += [f"  {row!r}" for row in self.rows[:LINES]]
        if len(self) > LINES:
            lines.append(f"  and {len(self) - LINES} more")
        return "\n".join(lines)
