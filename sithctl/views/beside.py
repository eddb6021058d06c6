"""Two explanations of the same vectors side by side; one above the other where it is narrow."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sithctl.kinds import Codes
from sithctl.stages.beside import Pair
from sithctl.stages.choice import place
from sithctl.stages.explain import Explanation
from sithctl.views import terminal
from sithctl.views.records import record
from sithctl.views.terminal import (
    PLAIN,
    POLE_SIGN,
    POLE_STYLE,
    WIDE,
    as_plain,
    blank,
    concepts,
    figure,
    sigma,
)
from sithctl.views.text import printable

STACKED = 72  # columns below which one explanation stands above the other


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        source: its file's name, or what else it comes from.
        facts: how it was made, of what the two differ in.
    """

    source: str
    parameters: dict[str, Any]
    facts: str


def sides(files: Sequence[str | None], codes: Sequence[Codes]) -> list[Side]:
    """What tells two files of codes from each other."""
    known = [dict(sorted(one.parameters.items())) for one in codes]
    differ = [n for n in known[0] if n in known[1] and known[0][n] != known[1][n]]
    return [
        Side(
            "these" if file in (None, "-") else printable(Path(file or "").name),
            parameters,
            printable(", ".join(f"{n} {_said(parameters[n])}" for n in differ)),
        )
        for file, parameters in zip(files, known, strict=True)
    ]


def _said(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else "all" if value is None else f"{value}"


def tables(
    pairs: Sequence[Pair],
    both: Sequence[Side],
    model: str,
    width: int,
    *,
    order: str | None = None,
    pattern: re.Pattern[str] | None = None,
) -> RenderableType:
    """One table a head, or one of all where they have another order.

    Args:
        pairs: ordered by layer, head, vector and pole; or by ``order``.
        both: the two sides.
        model: named in the titles.
        width: of the terminal, in columns.
        pattern: what to mark in labels.
    """
    form = _Form(width, width < STACKED, order is not None, pattern, _largest(pairs))
    if order is not None:
        return _table(pairs, both, f"{printable(model)} · by {order}", form)
    parts: list[RenderableType] = []
    for (layer, head), rows in groupby(pairs, key=lambda p: place(p.faces[0])[:2]):
        title = f"{printable(model)} · layer {layer} · head {head}"
        parts.append(_table(list(rows), both, title, form))
    return Group(*parts)


def plain_text(
    pairs: Sequence[Pair], both: Sequence[Side], model: str, *, order: str | None = None
) -> str:
    """The tables as text, for a file: no colour, wide."""
    return as_plain(tables(pairs, both, model, PLAIN, order=order), footnotes(pairs))


def footnotes(pairs: Sequence[Pair], hidden: int = 0, total: int = 0) -> list[str]:
    """What a reader of the tables should know."""
    return terminal.footnotes([e for pair in pairs for e in pair.faces], hidden, total)


@dataclass(frozen=True)
class _Form:
    """How tables look."""

    width: int
    stacked: bool
    placed: bool
    pattern: re.Pattern[str] | None
    largest: float

    @property
    def bars(self) -> int:
        return 8 if self.width >= WIDE else 0


def _largest(pairs: Sequence[Pair]) -> float:
    every = (c.coefficient for pair in pairs for e in pair.faces for c in e.concepts)
    return max(every, default=1.0) or 1.0


def _table(rows: Sequence[Pair], both: Sequence[Side], title: str, form: _Form) -> Table:
    table = blank(title, form.width)
    table.collapse_padding = form.width < WIDE
    headings = [
        Text(f"{number} {side.source}" + (f"\n{side.facts}" if side.facts else ""))
        for number, side in enumerate(both, 1)
    ]
    table.add_column("vector" if form.placed else "sv", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("σ", justify="right", no_wrap=True)
    if form.stacked:
        table.add_column("", no_wrap=True)
        headings = [Text("\n").join(headings)]
    for heading in headings:
        table.add_column("fid.", justify="right", no_wrap=True)
        table.add_column(heading, ratio=1)
    previous = None
    for pair in rows:
        first = place(pair.faces[0]) != previous
        previous = place(pair.faces[0])
        if first and table.row_count:
            table.add_section()
        _add(table, pair, first, form)
    return table


def _add(table: Table, pair: Pair, first: bool, form: _Form) -> None:
    e = pair.faces[0]
    vector = ".".join(map(str, place(e))) if form.placed else f"{e.sv}"
    shared = [
        Text(f"{vector}{'≈' if e.degenerate else ' '}" if first else ""),
        Text(POLE_SIGN[e.pole], style=POLE_STYLE[e.pole]),
        Text(sigma(e) if first else ""),
    ]
    cells = [_cells(one, form) for one in (pair.first, pair.second)]
    if not form.stacked:
        table.add_row(*shared, *cells[0], *cells[1])
        return
    table.add_row(*shared, Text("1", style="dim"), *cells[0])
    table.add_row("", "", "", Text("2", style="dim"), *cells[1])


def _cells(e: Explanation | None, form: _Form) -> tuple[RenderableType, RenderableType]:
    """Fidelity and concepts; of an explanation that one side lacks, nothing."""
    if e is None:
        return Text("–", style="dim"), Text("not explained", style="dim italic")
    said = concepts(e, form.largest, 0, form.bars, form.pattern)
    return Text(figure(e.fidelity.feature)), said


def as_json(pairs: Sequence[Pair], both: Sequence[Side], model: str | None) -> str:
    """One document: the two sides, and of every vector and pole both explanations; null where one
    is missing."""
    document = {
        "model": model,
        "sides": [{"source": side.source, "parameters": side.parameters} for side in both],
        "pairs": [_pair(pair) for pair in pairs],
    }
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _pair(pair: Pair) -> dict[str, Any]:
    e = pair.faces[0]
    explanations = [None if one is None else record(one) for one in (pair.first, pair.second)]
    where = {"layer": e.layer, "head": e.head, "sv": e.sv, "pole": e.pole}
    return where | {"explanations": explanations}
