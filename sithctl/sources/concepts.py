"""Concepts from word lists, and what is known of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from unicodedata import normalize

from sithctl.artifacts.streams import readable
from sithctl.errors import InputError
from sithctl.kinds import Factors


def read_concepts(source: str | Path) -> list[str]:
    """Concepts of a text file, one a line, or of a ``.json`` list of texts: see ``tidy``.

    Args:
        source: a path, or ``-`` for standard input.

    Raises:
        InputError: the file is missing, empty, not UTF-8 or not such a list.
    """
    concepts = read_list(source)
    if not concepts:
        raise InputError("no concepts: the list is empty", source, "write one concept a line")
    return concepts


def read_list(source: str | Path) -> list[str]:
    """As ``read_concepts``, of a list that may be empty."""
    return tidy(_json(source) if _is_json(source) else _lines(source))


def read_labels(source: str | Path) -> list[str]:
    """Labels of ready embeddings: one a row, as they stand, repeated where they repeat."""
    if _is_json(source):
        return _json(source)
    lines = _lines(source)
    return lines[:-1] if lines and not lines[-1] else lines


def tidy(texts: Iterable[str]) -> list[str]:
    """Concepts in their order: ``plain``, blanks left out, duplicates folded into the first.

    >>> tidy([" red ring", "", "ocean", "red ring "])
    ['red ring', 'ocean']
    """
    return list(dict.fromkeys(filter(None, map(plain, texts))))


def plain(text: str) -> str:
    """A concept's one spelling: Unicode composed (NFC), single spaces between its words."""
    return " ".join(normalize("NFC", text).split())


def read_factors(source: str | Path, concepts: list[str]) -> list[Factors]:
    """The factor values that each concept names, from a table with a header.

    The first column is the concept, every other a factor; an empty cell leaves it open.

    Raises:
        InputError: a row of another length, or a concept that the table lacks.
    """
    rows = [line.split("\t") for line in _lines(source) if line.strip()]
    if not rows or len(rows[0]) < 2:
        raise InputError(
            "no table of factors", source, "write tab-separated columns: concept, then factors"
        )
    header = [name.strip() for name in rows[0]]
    table: dict[str, Factors] = {}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise InputError(
                f"line {number} has {len(row)} columns where the header has {len(header)}",
                source,
                "leave a cell empty where a factor is not named",
            )
        cells = [cell.strip() for cell in row]
        table[plain(cells[0])] = {n: v for n, v in zip(header[1:], cells[1:], strict=True) if v}
    missing = next((c for c in concepts if c not in table), None)
    if missing is not None:
        raise InputError(f"no row for the concept {missing!r}", source, "add it to the table")
    return [table[concept] for concept in concepts]


def _is_json(source: str | Path) -> bool:
    return str(source).endswith(".json")


def _json(source: str | Path) -> list[str]:
    try:
        texts = json.loads(read_text(source))
    except (ValueError, RecursionError) as error:
        raise InputError("not JSON", source, "write a list of texts, or one a line") from error
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InputError("JSON, but no list of texts", source, 'write ["one", "another"]')
    # What JSON can escape, and no file of ours can hold.
    if any("\0" in text or not _is_unicode(text) for text in texts):
        raise InputError("a text with a NUL or half a character", source, "leave it out")
    return texts


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _lines(source: str | Path) -> list[str]:
    # Not splitlines(), which also ends lines at form feeds and Unicode separators.
    return [line.removesuffix("\r") for line in read_text(source).split("\n")]


def read_text(source: str | Path) -> str:
    """A UTF-8 text file, or standard input for ``-``, without a byte-order mark.

    Raises:
        InputError: it is missing, or is no text.
    """
    with readable(source) as path:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(
                f"not UTF-8 text (byte {error.start})", source, "convert it, e.g. with iconv"
            ) from error
        except OSError as error:
            raise InputError("cannot be read", source, error.strerror or str(error)) from error
    if "\0" in text:
        raise InputError(
            "a NUL character: not a list of lines", source, "convert it to UTF-8, a concept a line"
        )
    return text
