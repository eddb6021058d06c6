"""An evaluation for people and for scripts: tables, Markdown, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from math import isfinite
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Column as GridColumn
from rich.table import Table as Grid
from rich.text import Text

from sithctl.evaluation.results import Column, Evaluation, Record, Table
from sithctl.views.text import printable

NOTHING = "–"
FILE_WIDTH = 160
LONG = 24  # characters, from which texts may be folded


def tables(
    evaluation: Evaluation, width: int, whole: str = "--format json has all"
) -> RenderableType:
    """Every table, then the notes.

    Args:
        width: of the terminal, in columns; where a table is wider, intervals are left out of it.
        whole: where all rows are, where some are left out.
    """
    parts: list[RenderableType] = []
    for table in (table for table in evaluation.tables if table.records):
        grid, told = _grid(table, cell, whole), True
        if _natural_width(grid) > width:
            grid, told = _grid(table, short_cell, whole), not _has_intervals(table)
        parts.append(grid)
        if not told:
            parts.append(Text("intervals: in a wider terminal, or by --format json", "dim"))
    parts += [Text(printable(note), style="dim") for note in evaluation.notes]
    return Group(*parts)


def _grid(table: Table, show: Callable[[Record, Column], str], whole: str) -> Grid:
    grid = Grid(
        title=Text(printable(table.title), style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    shown = table.records[: table.limit]
    for column in table.columns:
        cells = [show(record, column) for record in shown]
        folds = column.show == "text" and max(map(len, cells)) > LONG
        grid.add_column(
            column.heading,
            justify="left" if column.show == "text" else "right",
            no_wrap=not folds,
            overflow="fold" if folds else "ellipsis",
        )
    for record in shown:
        grid.add_row(*(Text(show(record, column)) for column in table.columns))
    left = len(table.records) - len(shown)
    if left:
        grid.caption, grid.caption_justify = f"and {left} more: {whole}", "left"
    return grid


def _natural_width(grid: Grid) -> int:
    """What the table would take, were there room; long texts may fold."""
    console = Console(width=10_000)
    folded = [c for c in grid.columns if not c.no_wrap]
    whole = grid.__rich_measure__(console, console.options).maximum
    return whole - sum(max(0, _widest(column) - LONG) for column in folded)


def _widest(column: GridColumn) -> int:
    return max((cell.cell_len for cell in column.cells if isinstance(cell, Text)), default=0)


def _has_intervals(table: Table) -> bool:
    found = (value_of(record, c) for record in table.records for c in table.columns)
    return any(isinstance(value, dict) for value in found)


def plain_text(evaluation: Evaluation) -> str:
    """The tables as text, for a file: no colour, wide."""
    buffer = StringIO()
    console = Console(
        file=buffer, width=FILE_WIDTH, color_system=None, force_terminal=False, highlight=False
    )
    console.print(tables(evaluation, FILE_WIDTH))
    return "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines())


def as_markdown(evaluation: Evaluation) -> str:
    """The tables as Markdown, whole."""
    parts: list[str] = []
    for table in (t for t in evaluation.tables if t.records):
        rows = [[column.heading for column in table.columns]]
        rows += [[cell(record, column) for column in table.columns] for record in table.records]
        lines = ["| " + " | ".join(map(_escaped, row)) + " |" for row in rows]
        lines.insert(1, "|" + "---|" * len(table.columns))
        parts.append(f"**{_escaped(table.title)}**\n\n" + "\n".join(lines) + "\n")
    parts += [f"{_escaped(note)}\n" for note in evaluation.notes]
    return "\n".join(parts)


def _escaped(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def as_json(evaluation: Evaluation) -> str:
    """The document; what is no finite number is null."""
    document = finite(evaluation.document())
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def cell(record: Record, column: Column) -> str:
    """One figure or text as people read it; an interval as its mean and bounds."""
    value, show = value_of(record, column), SHOW[column.show]
    if isinstance(value, dict):
        low, high = show(value["low"]), show(value["high"])
        dash = " to " if {*low, *high} & {*"+−"} else "–"  # (−0.2–+0.1) would be a riddle
        return f"{show(value['mean'])} ({low}{dash}{high})"
    return short_cell(record, column)


def short_cell(record: Record, column: Column) -> str:
    """The same, an interval as its mean alone."""
    value = value_of(record, column)
    value = value["mean"] if isinstance(value, dict) else value
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return NOTHING
    return SHOW[column.show](value)


def value_of(record: Record, column: Column) -> Any:
    """What a record has in a column; None of nothing."""
    value: Any = record
    for part in column.key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(printable(str(item)) for item in value)
    return printable(str(value))


SHOW: dict[str, Callable[[Any], str]] = {
    "text": _text,
    "count": lambda value: f"{value:,}",
    "figure": lambda value: f"{value:z.2f}".replace("-", "−"),
    "fine": lambda value: f"{value:z.4f}".replace("-", "−"),
    "share": lambda value: f"{100 * value:z.1f}%".replace("-", "−"),
    "points": lambda value: f"{100 * value:+z.1f}".replace("-", "−"),
    "flag": lambda value: "yes" if value else "no",
}
