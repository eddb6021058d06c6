"""Which explanations are shown, and in which order: of one file of codes, or of two in pairs. No
torch here."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sithctl.errors import UsageError
from sithctl.kinds import Codes
from sithctl.stages.explain import Explanation, explain

Item = TypeVar("Item")
Faces = Callable[[Item], Sequence[Explanation]]


@dataclass(frozen=True)
class Choice:
    """What is asked for.

    Attributes:
        layer, head, sv, min_grade: as of ``explain``.
        top: the first vectors of each head; where ``order`` is given, of all heads together.
        pattern: what a concept's label, caption or image must match.
        order: one of ``ORDERS``, over all heads; by layer, head and vector when None.
    """

    layer: str | int | None = None
    head: str | int | None = None
    sv: str | int | None = None
    top: int | None = None
    min_grade: str | None = None
    pattern: re.Pattern[str] | None = None
    order: str | None = None


def chosen(codes: Codes, choice: Choice) -> list[Explanation]:
    """The explanations asked for, in the order asked for.

    Raises:
        InputError: a layer, head or vector out of range, or codes without the grades asked for.
    """
    late = choice.pattern is not None or choice.order is not None
    rows = explain(
        codes,
        layer=choice.layer,
        head=choice.head,
        sv=choice.sv,
        top=None if late else choice.top,
        min_grade=choice.min_grade,
    )
    return arranged(rows, choice, lambda e: (e,)) if late else list(rows)


def arranged(items: Iterable[Item], choice: Choice, faces: Faces[Item]) -> list[Item]:
    """Those that match, in their order, and the first of these.

    Args:
        faces: an item's explanations, at least one; the first decides its place.
    """
    found = [
        item
        for item in items
        if choice.pattern is None or any(says(e, choice.pattern) for e in faces(item))
    ]
    if choice.order is not None:
        key = ORDERS[choice.order]
        # What an edit removed means nothing, whatever its fidelity or its concepts' names.
        found.sort(key=lambda item: (faces(item)[0].removed, key(faces(item)[0])))
    return _first(found, choice, faces)


def _first(items: list[Item], choice: Choice, faces: Faces[Item]) -> list[Item]:
    """The items of the first ``top`` vectors: of each head, or of all."""
    if choice.top is None:
        return items
    kept: list[Item] = []
    seen: dict[Hashable, set[tuple[int, int, int]]] = {}
    for item in items:
        e = faces(item)[0]
        vectors = seen.setdefault(None if choice.order else (e.layer, e.head), set())
        vectors.add(place(e))
        if len(vectors) <= choice.top:  # once over it stays: a later pole of an earlier vector
            kept.append(item)
    return kept


def place(e: Explanation) -> tuple[int, int, int]:
    """Which vector it explains."""
    return e.layer, e.head, e.sv


def says(e: Explanation, pattern: re.Pattern[str]) -> bool:
    """Whether a label, a longer caption or an image's id of it matches."""
    texts = ((c.concept, c.detail, c.image) for c in e.concepts)
    return any(pattern.search(text) for known in texts for text in known if text)


def parse_pattern(text: str) -> re.Pattern[str]:
    """A regular expression; without capitals of its own, case does not matter.

    >>> bool(parse_pattern("red|azure").search("RED")), bool(parse_pattern("Red").search("red"))
    (True, False)

    Raises:
        UsageError: it is none.
    """
    letters = re.sub(r"\\.", "", text)  # the S of \S is no capital
    try:
        return re.compile(text, 0 if letters != letters.lower() else re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        todo = r"write one such as 'red|azure', with \ before marks that stand for themselves"
        raise UsageError(f"no regular expression ({error})", text, todo) from None


def _by_fidelity(e: Explanation) -> Any:
    return -1.0 * (-2.0 if e.fidelity.feature is None else e.fidelity.feature)


def _by_concept(e: Explanation) -> Any:
    return (not e.concepts, [c.concept.casefold() for c in e.concepts])


# The best first; equal ones stay by layer, head, vector and pole.
ORDERS: dict[str, Callable[[Explanation], Any]] = {
    "sigma": lambda e: -e.singular_value,
    "fidelity": _by_fidelity,
    "concept": _by_concept,
}
