"""Labels come from anybody: what reaches a terminal must not be able to control it."""

from __future__ import annotations

import unicodedata

# Characters that reorder what surrounds them could make one label pass for another.
_REORDER = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(label: str) -> str:
    r"""The label with control characters written as escapes.

    >>> printable("red\x1b[2J")
    'red\\x1b[2J'
    """
    return "".join(_shown(c) for c in label)


def _shown(character: str) -> str:
    if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _REORDER:
        return character.encode("unicode_escape", "surrogatepass").decode()
    return character
