"""Which layers, heads and vectors a user means: ``5``, ``20-23``, ``20,22``, ``-4-``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sithctl.errors import InputError, UsageError

_PART = re.compile(r"(-?\d+)(?:(-)(-?\d+)?)?")


def parse_selection(text: str, count: int, noun: str, where: str, hint: str = "") -> list[int]:
    """The numbers that ``text`` selects out of ``count``, ascending.

    Counting starts at 0; a negative number counts from the end; ``-4-`` is the last four.

    >>> parse_selection("1,3-4", 6, "layer", "scenes")
    [1, 3, 4]
    >>> parse_selection("-2-", 6, "layer", "scenes")
    [4, 5]

    Raises:
        UsageError: the text is no selection.
        InputError: a number is out of range.
    """
    chosen: set[int] = set()
    for part in text.replace(" ", "").split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise UsageError(f"not a selection of {noun}s", text, "write 5, 20-23, 20,22 or -4-")
        first = _in_range(int(match[1]), count, noun, where, hint)
        last = first
        if match[2]:
            last = count - 1 if match[3] is None else int(match[3])
            last = _in_range(last, count, noun, where, hint)
        if last < first:
            raise UsageError(f"an empty range of {noun}s", part, "write the smaller number first")
        chosen.update(range(first, last + 1))
    return sorted(chosen)


def _in_range(number: int, count: int, noun: str, where: str, hint: str) -> int:
    counted = number + count if number < 0 else number
    if not 0 <= counted < count:
        have = f"{noun}s 0–{count - 1}" if count > 1 else f"{noun} 0 alone"
        raise InputError(
            f"no {noun} {number}", where, f"it has {have}" + (f"; {hint}" if hint else "")
        )
    return counted


def select_layers(
    layers: str | int | Sequence[int] | None,
    count: int,
    model: str,
    *,
    last: int | None = None,
    hint: str = "",
) -> list[int]:
    """Layers out of a model's ``count``: all, or its ``last`` few, when none are named."""
    if layers is None:
        return list(range(max(0, count - last) if last else 0, count))
    if isinstance(layers, str | int):
        text = str(layers)
    else:
        text = ",".join(str(layer) for layer in layers)
    return parse_selection(text, count, "layer", model, hint)
