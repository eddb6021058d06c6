"""Concepts from word lists, and what is known of them."""

from __future__ import annotations

from pathlib import Path

from sithctl.artifacts.streams import readable
from sithctl.errors import InputError
from sithctl.kinds import Factors


def read_concepts(source: str | Path) -> list[str]:
    """Concepts of a text file, one a line: trimmed, blanks left out, duplicates folded.

    Args:
        source: a path, or ``-`` for standard input.

    Raises:
        InputError: the file is missing, empty or not UTF-8.
    """
    concepts = list(dict.fromkeys(filter(None, (line.strip() for line in _lines(source)))))
    if not concepts:
        raise InputError("no concepts: the list is empty", source, "write one concept a line")
    return concepts


def read_labels(source: str | Path) -> list[str]:
    """Labels of ready embeddings: one a row, as they stand, repeated where they repeat."""
    lines = _lines(source)
    return lines[:-1] if lines and not lines[-1] else lines


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
        table[cells[0]] = {n: v for n, v in zip(header[1:], cells[1:], strict=True) if v}
    missing = next((c for c in concepts if c not in table), None)
    if missing is not None:
        raise InputError(f"no row for the concept {missing!r}", source, "add it to the table")
    return [table[concept] for concept in concepts]


def _lines(source: str | Path) -> list[str]:
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
    # Not splitlines(), which also ends lines at form feeds and Unicode separators.
    return [line.removesuffix("\r") for line in text.split("\n")]
