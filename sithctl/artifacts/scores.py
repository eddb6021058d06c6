"""A judge's scores as a CSV file, which people read and change, and ``edit`` reads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from sithctl.artifacts.marks import mark_line, split
from sithctl.artifacts.streams import readable
from sithctl.errors import InputError
from sithctl.kinds import Identity
from sithctl.kinds.scores import HIGHEST, LOWEST, Score

COLUMNS = ("layer", "head", "sv", "pole", "score", "concepts", "why")
NEEDED = COLUMNS[:5]
MARK = "# sithctl scores "


def as_csv(scores: Iterable[Score], model: Identity | None = None) -> str:
    """A line that names the model whose vectors they are, a header, and a line a score."""
    buffer = io.StringIO()
    buffer.write(mark_line(MARK, model))
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(astuple, scores))
    return buffer.getvalue()


def as_json(scores: Iterable[Score], header: dict[str, Any]) -> str:
    """One document: the header's entries, then the scores."""
    document = {**header, "scores": [asdict(score) for score in scores]}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def read_scores(source: str | Path) -> list[Score]:
    """The scores alone of ``read_judged``."""
    return read_judged(source)[0]


def read_judged(source: str | Path) -> tuple[list[Score], Identity | None]:
    """The scores in a CSV file that ``judge`` wrote, or that a person did, and the model whose
    vectors they are, None where the file does not say.

    Columns may stand in any order and others beside them; ``concepts`` and ``why`` may be missing.

    Args:
        source: a path, or ``-`` for standard input.

    Raises:
        InputError: not such a file, a cell that is no number or out of range, one pole of a vector
            twice, or no score at all.
    """
    lines = _rows(source)
    rows, model = split(MARK, lines, source)
    header = [name.strip() for name in rows[0]] if rows else []
    missing = [name for name in NEEDED if name not in header]
    if missing:
        what = f"no column {', '.join(missing)}"
        raise InputError(what, source, f"the first line is {','.join(COLUMNS)}")
    found: dict[tuple[int, int, int, str], Score] = {}
    for number, row in enumerate(rows[1:], start=2 + len(lines) - len(rows)):
        if len(row) != len(header):
            what = f"row {number} has {len(row)} cells where the header has {len(header)}"
            raise InputError(what, source, "quote cells that hold a comma")
        score = _score(dict(zip(header, row, strict=True)), number, source)
        place = (score.layer, score.head, score.sv, score.pole)
        if place in found:
            vector = f"{score.layer}.{score.head}.{score.sv}{score.pole}"
            raise InputError(f"row {number} scores {vector} again", source, "keep one of the two")
        found[place] = score
    if not found:
        raise InputError("no scores", source, "make some with `sithctl judge`")
    return list(found.values()), model


def _rows(source: str | Path) -> list[list[str]]:
    with readable(source) as path:
        try:
            # The mark that spreadsheets write first would be part of the first column's name.
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            what = f"not UTF-8 text (byte {error.start})"
            raise InputError(what, source, "convert it, e.g. with iconv") from error
        except OSError as error:
            raise InputError("cannot be read", source, error.strerror or str(error)) from error
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise InputError(f"not CSV ({error})", source, "make it with `sithctl judge`") from error


def _score(cells: dict[str, str], row: int, source: object) -> Score:
    layer, head, sv = (_number(cells[name], name, row, source) for name in ("layer", "head", "sv"))
    pole = cells["pole"].strip().replace("−", "-")
    if pole not in {"+", "-"}:
        raise InputError(f"row {row}: pole is {pole!r}", source, "write + or -")
    score = _number(cells["score"], "score", row, source)
    if not LOWEST <= score <= HIGHEST:
        todo = f"scores go from {LOWEST} to {HIGHEST}"
        raise InputError(f"row {row}: score is {score}", source, todo)
    return Score(layer, head, sv, pole, score, cells.get("concepts", ""), cells.get("why", ""))


def _number(cell: str, column: str, row: int, source: object) -> int:
    text = cell.strip()
    if not (text.isascii() and text.isdigit()):
        raise InputError(f"row {row}: {column} is {text!r}", source, "write a whole number")
    return int(text)
