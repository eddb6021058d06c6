"""Labels come from anybody: what reaches a terminal must not be able to control it."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sithctl.kinds import Codes

# Characters that reorder what surrounds them could make one label pass for another.
_REORDER = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

LEFT_TO_RIGHT = "\u200e"


def printable(label: str) -> str:
    r"""The label with control characters written as escapes.

    >>> printable("red\x1b[2J")
    'red\\x1b[2J'
    """
    return "".join(_shown(c) for c in label)


def subject(codes: Codes) -> str:
    """Whose heads the codes explain, as titles have it: the model, and a text tower."""
    name, tower = codes.model.name or "codes", codes.architecture.get("tower", "vision")
    return printable(name if tower == "vision" else f"{name} · {tower} tower")


def data(text: str, encoding: str) -> str:
    r"""Data as a terminal of some encoding may have it: without control codes, yet still data.

    Of all formats only JSON begins with a bracket; it has its own escapes, in strings alone.

    >>> data('["é", "\x9b"]', "ascii"), data("é\t\x9b", "ascii")
    ('["\\u00e9", "\\u009b"]', 'é\t\\x9b')
    """
    is_json = text.startswith(("{", "["))
    return "".join(_in_json(c, encoding) if is_json else _in_lines(c) for c in text)


def _in_json(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
        plain = character == "\n" or _shown(character) == character
    except UnicodeEncodeError:
        plain = False
    return character if plain else json.dumps(character)[1:-1]


def _in_lines(character: str) -> str:
    return character if character in "\n\t" else _shown(character)


def label(text: str) -> str:
    """``printable`` text that keeps its place in a line.

    A terminal that reorders right-to-left text takes figures between two such labels for part of
    them: a mark of no width, which reads from left to right, ends each.
    """
    shown = printable(text)
    return shown + LEFT_TO_RIGHT if any(map(_is_right_to_left, shown)) else shown


def _is_right_to_left(character: str) -> bool:
    return unicodedata.bidirectional(character) in {"R", "AL", "AN"}


def _shown(character: str) -> str:
    if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _REORDER:
        return character.encode("unicode_escape", "surrogatepass").decode()
    return character
