"""An artefact's document for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sithctl.views.text import printable

BESIDE = {"kind", "schema", "model", "history", "arrays", "digest", "readout"}


def describe(document: Mapping[str, Any]) -> RenderableType:
    """Kind and model, details, arrays where the document has them, history: a small table each."""
    model = document["model"]
    facts = _grid()
    facts.add_row(_text("kind"), _text(f"{document['kind']} (schema {document.get('schema')})"))
    facts.add_row(_text("model"), _text(model.get("name") or "not named"))
    facts.add_row(_text("space"), _text(model.get("space") or "not known"))
    facts.add_row(_text("digest"), _text(document.get("digest", "–")))
    for name, value in document.items():
        if name not in BESIDE:
            facts.add_row(_text(name), _text(_short(value)))
    parts: list[RenderableType] = [facts, Text()]
    if "arrays" in document:
        arrays = _section("arrays", "shape")
        for name, shape in document["arrays"].items():
            arrays.add_row(_text(name), _text(shape))
        parts += [arrays, Text()]
    history = _section("history", "parameters and inputs")
    for stage in document["history"]:
        details = {**stage["parameters"], **{f"{n} ←": d[:12] for n, d in stage["inputs"].items()}}
        extra = {k: v for k, v in stage.items() if k in {"time", "arguments", "folder"}}
        name = f"{stage['stage']} {stage['version']}"
        history.add_row(_text(name), _text(_short({**details, **extra})))
    return Group(*parts, history)


def _text(value: object) -> Text:
    """A cell: the file may be anybody's, so nothing in it may control the terminal."""
    return Text(printable(str(value)))


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _section(first: str, second: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    table.add_column(second, overflow="fold")
    return table


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_short(v)}" for k, v in value.items() if v is not None)
    if isinstance(value, list):
        return " ".join(_short(v) for v in value)
    return str(value)
