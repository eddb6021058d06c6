"""The first line of a CSV that says which model its vectors are of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sithctl.errors import InputError
from sithctl.kinds import Identity


def mark_line(mark: str, model: Identity | None) -> str:
    """The line, or nothing of an unknown model."""
    if model is None:
        return ""
    return f"{mark}{json.dumps(model.document(), sort_keys=True)}\n"


def split(
    mark: str, rows: Sequence[list[str]], source: str | Path
) -> tuple[list[list[str]], Identity | None]:
    """Rows without those that are marked, and the model that the first of these names.

    Raises:
        InputError: the line holds no model.
    """
    marked = [row for row in rows if row and row[0].startswith(mark)]
    others = [row for row in rows if not (row and row[0].startswith(mark))]
    return others, _model(mark, marked[0], source) if marked else None


def _model(mark: str, cells: list[str], source: str | Path) -> Identity:
    """Of the line, whose commas a spreadsheet takes for columns."""
    try:
        return Identity.parse(json.loads(",".join(cells).removeprefix(mark).rstrip(", \t")))
    except (ValueError, AttributeError) as error:
        what = "the line that names the model is damaged"
        raise InputError(what, source, "copy the file again") from error
