"""Explanations as a table for people: a row a singular vector and pole."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from itertools import groupby

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from sithctl.stages.explain import Explanation, WeightedConcept
from sithctl.views.text import label, printable

NARROW = 60  # columns below which energy and bars make room for labels
WIDE = 120  # columns from which there is room for the second fidelity and longer bars
BAR = " ▏▎▍▌▋▊▉█"
PLAIN = 160  # columns of a table in a file
POLE_STYLE = {"+": "green", "-": "magenta"}
GRADE_STYLE = {"A": "bold green", "B": "green", "C": "yellow", "D": "red"}
POLE_SIGN = {"+": "+", "-": "−"}


def tables(explanations: Sequence[Explanation], model: str, width: int) -> RenderableType:
    """One table a head, titled by its place.

    Args:
        explanations: ordered by layer, head, vector, pole.
        model: named in the titles.
        width: of the terminal, in columns.
    """
    parts: list[RenderableType] = []
    for (layer, head), rows in groupby(explanations, key=lambda e: (e.layer, e.head)):
        parts.append(_table(list(rows), f"{printable(model)} · layer {layer} · head {head}", width))
    return Group(*parts)


def plain_text(explanations: Sequence[Explanation], model: str) -> str:
    """The tables as text, for a file: no colour, wide."""
    return as_plain(tables(explanations, model, PLAIN), footnotes(explanations))


def as_plain(shown: RenderableType, notes: Sequence[str]) -> str:
    """What would be on a wide terminal without colour, and the notes below it."""
    buffer = StringIO()
    console = Console(
        file=buffer, width=PLAIN, color_system=None, force_terminal=False, highlight=False
    )
    console.print(shown)
    lines = [line.rstrip() for line in buffer.getvalue().splitlines()]
    return "".join(f"{line}\n" for line in [*lines, *notes])


def _table(rows: list[Explanation], title: str, width: int) -> Table:
    wide, graded = width >= WIDE, any(e.grade for e in rows)
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        expand=False,
    )
    table.add_column("sv", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("σ", justify="right", no_wrap=True)
    table.add_column("energy", justify="right", no_wrap=True)
    table.add_column("fidelity" if wide else "fid.", justify="right", no_wrap=True)
    if wide:
        table.add_column("residual/ceiling", justify="right", no_wrap=True)
    if graded:
        table.add_column("grade", justify="center", no_wrap=True)
    table.add_column("concepts", ratio=1)
    largest = max((c.coefficient for e in rows for c in e.concepts), default=1.0) or 1.0
    previous = None
    for e in rows:
        first = e.sv != previous
        previous = e.sv
        if first and table.row_count:
            table.add_section()
        cells = [
            Text(f"{e.sv}{'≈' if e.degenerate else ' '}" if first else ""),
            Text(POLE_SIGN[e.pole], style=POLE_STYLE[e.pole]),
            Text(f"{e.singular_value:.3g}" if first else ""),
            Text(f"{e.energy:.1%}" if first else "", style="dim"),
            Text(figure(e.fidelity.feature)),
        ]
        if wide:
            pair = f"{figure(e.fidelity.residual)}/{figure(e.fidelity.residual_ceiling)}"
            cells.append(Text(pair, style="dim"))
        if graded:
            cells.append(Text(e.grade or "–", style=GRADE_STYLE.get(e.grade or "", "")))
        table.add_row(*cells, _concepts(e, largest, wide))
    return table


def narrow(width: int) -> bool:
    return width < NARROW


def figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _concepts(e: Explanation, largest: float, wide: bool) -> Text:
    """A concept a line: bar, coefficient, label, an image's id, and where there is room what the
    label names."""
    if not e.concepts:
        return Text("no concept has a positive weight", style="dim italic")
    style = POLE_STYLE[e.pole]
    lines = [_concept(c, largest, 12 if wide else 6, style) for c in e.concepts]
    if wide and not any(concept.image for concept in e.concepts):  # a caption says it all
        room = max(line.cell_len for line in lines) + 2
        for line, concept in zip(lines, e.concepts, strict=True):
            if concept.factors:
                named = " · ".join(f"{n} {v}" for n, v in sorted(concept.factors.items()))
                line.append(" " * (room - line.cell_len) + printable(named), style="dim")
    return Text("\n").join(lines)


def _concept(concept: WeightedConcept, largest: float, width: int, style: str) -> Text:
    named = "" if concept.image is None else f"  {label(concept.image)}"
    return Text.assemble(
        (bar(concept.coefficient / largest, width).ljust(width), style),
        (f" {concept.coefficient:.2f} ", "dim"),
        label(concept.concept),
        (named, "dim"),
    )


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
    if any(e.grade for e in explanations):
        notes.append("grades by `sithctl eval trust`: A to trust, D not; json and csv have reasons")
    if any(e.side == "left" for e in explanations):
        notes.append(
            "left vectors live in the layer's input space: reading them through the final norm "
            "and projection is an approximation"
        )
    return notes
