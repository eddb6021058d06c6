"""Explanations as a table for people: a row a singular vector and pole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from itertools import groupby

from rich import box
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from sithctl.stages.choice import place
from sithctl.stages.explain import Explanation, WeightedConcept
from sithctl.views.text import label, printable

NARROW = 60  # columns below which energy and bars make room for labels
WIDE = 120  # columns from which there is room for the second fidelity and longer bars
BAR = " ▏▎▍▌▋▊▉█"
PLAIN = 160  # columns of a table in a file
POLE_STYLE = {"+": "green", "-": "magenta"}
# Green, magenta and red are seen on light and dark grounds alike; yellow, white and black are not.
GRADE_STYLE = {"A": "bold green", "B": "green", "C": "magenta", "D": "bold red"}
POLE_SIGN = {"+": "+", "-": "−"}


def tables(
    explanations: Sequence[Explanation],
    model: str,
    width: int,
    *,
    order: str | None = None,
    pattern: re.Pattern[str] | None = None,
) -> RenderableType:
    """One table a head, titled by its place; one table of all where they have another order.

    Args:
        explanations: ordered by layer, head, vector, pole; or by ``order``.
        model: named in the titles.
        width: of the terminal, in columns.
        pattern: what to mark in labels.
    """
    name = printable(model)
    if order is not None:
        return _table(explanations, f"{name} · by {order}", width, placed=True, pattern=pattern)
    parts: list[RenderableType] = []
    for (layer, head), rows in groupby(explanations, key=lambda e: (e.layer, e.head)):
        title = f"{name} · layer {layer} · head {head}"
        parts.append(_table(list(rows), title, width, pattern=pattern))
    return Group(*parts)


def plain_text(explanations: Sequence[Explanation], model: str, *, order: str | None = None) -> str:
    """The tables as text, for a file: no colour, wide."""
    return as_plain(tables(explanations, model, PLAIN, order=order), footnotes(explanations))


def as_plain(shown: RenderableType, notes: Sequence[str]) -> str:
    """What would be on a wide terminal without colour, and the notes below it."""
    buffer = StringIO()
    console = Console(
        file=buffer, width=PLAIN, color_system=None, force_terminal=False, highlight=False
    )
    console.print(shown)
    lines = [line.rstrip() for line in buffer.getvalue().splitlines()]
    return "".join(f"{line}\n" for line in [*lines, *notes])


def blank(title: str, width: int) -> Table:
    """A table without columns, as all of explanations look."""
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=narrow(width),
    )


def _table(
    rows: Sequence[Explanation],
    title: str,
    width: int,
    *,
    placed: bool = False,
    pattern: re.Pattern[str] | None = None,
) -> Table:
    """``placed``: rows of many heads, each with its layer and head."""
    graded = any(e.grade for e in rows)
    table = blank(title, width)
    for name, justify in _columns(width, placed, graded):
        table.add_column(name, justify=justify, no_wrap=True)
    table.add_column("concepts", ratio=1, overflow="fold")
    largest = max((c.coefficient for e in rows for c in e.concepts), default=1.0) or 1.0
    previous = None
    for e in rows:
        first = place(e) != previous
        previous = place(e)
        if first and table.row_count:
            table.add_section()
        said = concepts(e, largest, width, bar_width(width), pattern)
        dim = "dim" if e.removed else ""
        table.add_row(*_figures(e, first, width, placed, graded), said, style=dim)
    return table


def _columns(width: int, placed: bool, graded: bool) -> list[tuple[str, JustifyMethod]]:
    wide = width >= WIDE
    columns: list[tuple[str, JustifyMethod]] = [
        ("vector" if placed else "sv", "right"),
        ("", "left"),
    ]
    columns += [("σ", "right")]
    columns += [] if narrow(width) else [("energy", "right")]
    columns += [("fidelity" if wide else "fid.", "right")]
    columns += [("residual/ceiling", "right")] if wide else []
    return columns + ([("grade", "center")] if graded else [])


def _figures(e: Explanation, first: bool, width: int, placed: bool, graded: bool) -> list[Text]:
    """What stands before the concepts; what is the vector's and not the pole's, once."""
    vector = ".".join(map(str, place(e))) if placed else f"{e.sv}"
    cells = [
        Text(f"{vector}{'≈' if e.degenerate else ' '}" if first else ""),
        Text(POLE_SIGN[e.pole], style=POLE_STYLE[e.pole]),
        Text(sigma(e) if first else ""),
    ]
    if not narrow(width):
        cells.append(Text(f"{e.energy:.1%}" if first else "", style="dim"))
    cells.append(Text(figure(e.fidelity.feature)))
    if width >= WIDE:
        pair = f"{figure(e.fidelity.residual)}/{figure(e.fidelity.residual_ceiling)}"
        cells.append(Text(pair, style="dim"))
    if graded:
        cells.append(Text(e.grade or "–", style=GRADE_STYLE.get(e.grade or "", "")))
    return cells


def narrow(width: int) -> bool:
    return width < NARROW


def sigma(e: Explanation) -> str:
    return "0†" if e.removed else f"{e.singular_value:.3g}"


def figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def concepts(
    e: Explanation,
    largest: float,
    width: int,
    bars: int,
    pattern: re.Pattern[str] | None = None,
) -> RenderableType:
    """A concept a line: bar, coefficient, label, an image's id, and where there is room what the
    label names.

    Args:
        largest: the coefficient of a full bar.
        width: of the terminal, in columns.
        bars: cells of a full bar; none when 0.
        pattern: what to mark in labels.
    """
    if not e.concepts:
        return Text("no concept has a positive weight", style="dim italic")
    explained = width >= WIDE and not any(c.image for c in e.concepts)  # a caption says it all
    grid = Table.grid(padding=(0, 1, 0, 0))
    for _ in range(2 if bars else 1):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")  # some scripts put no spaces between words
    for concept in e.concepts:
        drawn = bar(concept.coefficient / largest, bars).ljust(bars)
        cells = [Text(drawn, style=POLE_STYLE[e.pole])] if bars else []
        cells += [Text(f"{concept.coefficient:.2f}", style="dim"), _label(concept, pattern)]
        grid.add_row(*cells, *([_named(concept)] if explained and concept.factors else []))
    return grid


def _label(concept: WeightedConcept, pattern: re.Pattern[str] | None) -> Text:
    """The label, and an image's id."""
    said = Text(label(concept.concept))
    if pattern is not None:
        said.highlight_regex(pattern, "bold underline")
    return said if concept.image is None else said.append(f"  {label(concept.image)}", "dim")


def _named(concept: WeightedConcept) -> Text:
    """The factor values that a label names."""
    known = sorted((concept.factors or {}).items())
    return Text(" " + printable(" · ".join(f"{n} {v}" for n, v in known)), style="dim")


def bar_width(width: int) -> int:
    """The cells for bars on a terminal so wide."""
    return 0 if narrow(width) else 12 if width >= WIDE else 6


def bar(share: float, width: int) -> str:
    """A bar of up to ``width`` cells in eighths of a cell, as wide as it needs and no wider.

    >>> bar(0.5, 4)
    '██'
    """
    eighths = max(1, round(max(0.0, min(1.0, share)) * width * 8))
    full, rest = divmod(eighths, 8)
    return "█" * full + (BAR[rest] if rest else "")


def footnotes(explanations: Sequence[Explanation], hidden: int = 0, total: int = 0) -> list[str]:
    """What a reader of the tables should know."""
    notes = []
    if hidden:
        notes.append(f"{hidden} of {total} vectors are not shown: --top {total} shows all")
    if any(e.degenerate for e in explanations):
        notes.append("≈ σ within the gap of a neighbour's: the two vectors are interchangeable")
    if any(e.removed for e in explanations):
        notes.append("† σ 0: removed, as by an edit; what stands beside it means nothing")
    if any(e.grade for e in explanations):
        notes.append("grades by `sithctl eval trust`: A to trust, D not; json and csv have reasons")
    if any(e.side == "left" for e in explanations):
        notes.append(
            "left vectors live in the layer's input space: reading them through the final norm "
            "and projection is an approximation"
        )
    return notes
