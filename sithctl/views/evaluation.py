"""An evaluation for people and for scripts: tables, Markdown, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from math import isfinite
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from sithctl.evaluation.results import Column, Evaluation, Record, Table
from sithctl.views.text import printable

NOTHING = "–"
FILE_WIDTH = 160


def tables(evaluation: Evaluation) -> RenderableType:
    """Every table, then the notes."""
    parts: list[RenderableType] = [_grid(table) for table in evaluation.tables if table.records]
    parts += [Text(printable(note), style="dim") for note in evaluation.notes]
    return Group(*parts)


def _grid(table: Table) -> Grid:
    grid = Grid(
        title=Text(printable(table.title), style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in table.columns:
        is_text = column.show == "text"
        grid.add_column(
            column.heading,
            justify="left" if is_text else "right",
            no_wrap=not is_text,
            overflow="fold" if is_text else "ellipsis",
        )
    shown = table.records[: table.limit]
    for record in shown:
        grid.add_row(*(Text(cell(record, column)) for column in table.columns))
    left = len(table.records) - len(shown)
    if left:
        grid.caption, grid.caption_justify = f"and {left} more: --format json has all", "left"
    return grid


def plain_text(evaluation: Evaluation) -> str:
    """The tables as text, for a file: no colour, wide."""
    buffer = StringIO()
    console = Console(
        file=buffer, width=FILE_WIDTH, color_system=None, force_terminal=False, highlight=False
    )
    console.print(tables(evaluation))
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
    value: Any = record
    for part in column.key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    show = SHOW[column.show]
    if isinstance(value, dict):
        return f"{show(value['mean'])} ({show(value['low'])}–{show(value['high'])})"
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return NOTHING
    return show(value)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(printable(str(item)) for item in value)
    return printable(str(value))


SHOW: dict[str, Callable[[Any], str]] = {
    "text": _text,
    "count": lambda value: f"{value:,}",
    "figure": lambda value: f"{value:.2f}".replace("-", "−"),
    "fine": lambda value: f"{value:.4f}".replace("-", "−"),
    "share": lambda value: f"{100 * value:.1f}%".replace("-", "−"),
    "points": lambda value: f"{100 * value:+.1f}".replace("-", "−"),
    "flag": lambda value: "yes" if value else "no",
}
