"""What each kind shows of itself at a glance; explanations and figures have views of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import singledispatch
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sithctl.evaluation.results import Evaluation
from sithctl.kinds import (
    Array,
    Artefact,
    Change,
    Codes,
    Delta,
    Explanation,
    Explanations,
    Heads,
    Matches,
    Mean,
    Plan,
    Pool,
    Spectra,
)
from sithctl.stages.explain import explain
from sithctl.stages.judge import Judgement
from sithctl.stages.summary import energies, summarise
from sithctl.views import evaluation as figures
from sithctl.views import found as search
from sithctl.views import terminal
from sithctl.views.terminal import POLE_SIGN, POLE_STYLE
from sithctl.views.text import printable

ROWS, VECTORS = 20, 40  # of a table, and of explanations
SHOWN = 3  # concepts of a pole
LEVELS = "▁▂▃▄▅▆▇█"
FRAME = ".to_pandas() has all"
FIGURES = {"", "energy", "fidelity", "coherence", "trusted", "factor", "score"}


@singledispatch
def glance(thing: Any, width: int) -> RenderableType:
    """The view of one thing.

    Args:
        thing: of a kind that is registered here.
        width: in columns.
    """
    raise TypeError(type(thing).__name__)


@glance.register
def _(explanations: Explanations, width: int) -> RenderableType:
    shown = explanations[:VECTORS]
    notes = terminal.footnotes(explanations)
    if len(explanations) > len(shown):
        notes.insert(0, f"and {len(explanations) - len(shown)} more: {FRAME}")
    body = terminal.tables(shown, explanations.model or "codes", width)
    if not shown:
        body = Text("no explanations", "dim")
    return Group(body, *(Text(note, "dim") for note in notes))


@glance.register
def _(matches: Matches, width: int) -> RenderableType:
    shown = matches[:VECTORS]
    notes = search.footnotes(shown)
    if len(matches) > len(shown):
        notes.insert(0, f"and {len(matches) - len(shown)} more: {FRAME}")
    title = search.title(matches.model, matches.phrases, len(matches))
    body = search.table(shown, title, width) if shown else Text(title, "dim")
    return Group(body, *(Text(note, "dim") for note in notes))


@glance.register
def _(evaluation: Evaluation, width: int) -> RenderableType:
    fallen = [Text(printable(failure), "bold red") for failure in evaluation.failures]
    return Group(figures.tables(evaluation, width, FRAME), *fallen)


@glance.register
def _(heads: Heads, width: int) -> RenderableType:
    return _by_layer(heads)


@glance.register
def _(spectra: Spectra, width: int) -> RenderableType:
    return _by_layer(spectra)


def _by_layer(weights: Heads | Spectra) -> RenderableType:
    """How much each layer's heads write: Σσ²."""
    table = _table("layer", "energy", "strongest head", "every head")
    found = energies(weights)
    total = sum(float(values.sum()) for values in found.values()) or 1.0
    largest = max((float(values.max()) for values in found.values()), default=0.0) or 1.0
    for layer, values in found.items():
        best = int(values.argmax())
        strongest = f"{best} ({values[best] / total:.1%})"
        bars = Text(levels(values / largest), "green")
        energy = _shown(float(values.sum()) / total, "share")
        table.add_row(Text(str(layer)), energy, Text(strongest), bars)
    return _titled(weights, table, len(found))


def levels(shares: Array) -> str:
    """A character each of how high they are.

    >>> import numpy as np
    >>> levels(np.array([0.0, 0.5, 1.0]))
    '▁▅█'
    """
    return "".join(LEVELS[min(7, max(0, int(share * 8)))] for share in shares)


@glance.register
def _(pool: Pool, width: int) -> RenderableType:
    beside: dict[str, list[str]] = {}
    if pool.sources is not None:
        beside["image"] = pool.sources
    if pool.factors is not None:
        some = pool.factors[:ROWS]
        beside["names"] = [" · ".join(f"{n} {v}" for n, v in sorted(f.items())) for f in some]
    table = _table("", "concept", *beside)
    for i, concept in enumerate(pool.concepts[:ROWS]):
        cells = [Text(printable(texts[i]), "dim") for texts in beside.values()]
        table.add_row(Text(str(i), "dim"), Text(printable(concept)), *cells)
    return _titled(pool, table, len(pool.concepts))


@glance.register
def _(mean: Mean, width: int) -> RenderableType:
    return Text(_title(mean), "bold")


@glance.register
def _(codes: Codes, width: int) -> RenderableType:
    """The heads that write most, each with its strongest vector."""
    heads = sorted(summarise([codes]).values(), key=lambda f: (-f.energy, f.layer, f.head))
    rows = groupby(explain(codes, top=1), key=lambda e: (e.layer, e.head))
    first = {place: list(poles) for place, poles in rows}
    graded = ("trusted",) if codes.graded else ()
    table = _table("head", "energy", "fidelity", "coherence", *graded, "its strongest vector")
    for f in heads[:ROWS]:
        cells = [_shown(f.share, "share"), _shown(f.fidelity, "figure")]
        cells += [_shown(f.coherence, "figure")]
        cells += [_shown(f.trusted, "share")] if graded else []
        table.add_row(Text(f"{f.layer}.{f.head}"), *cells, _poles(first[f.layer, f.head]))
    return _titled(codes, table, len(heads))


def _poles(explanations: Iterable[Explanation]) -> Text:
    lines = []
    for e in explanations:
        said = ", ".join(printable(c.concept) for c in e.concepts[:SHOWN]) or "no concept"
        lines.append(Text.assemble((f"{POLE_SIGN[e.pole]} ", POLE_STYLE[e.pole]), said))
    return Text("\n").join(lines)


@glance.register
def _(plan: Plan, width: int) -> RenderableType:
    return _changes(printable(repr(plan)), plan.changes)


@glance.register
def _(delta: Delta, width: int) -> RenderableType:
    changes = [Change(**row) for row in delta.plan]
    tensors = [f"{name} {delta.dtypes[name]}" for name in delta.changed]
    told = Text("\n".join(map(printable, tensors)), "dim")
    return Group(_changes(_title(delta), changes), told)


def _changes(title: str, changes: Sequence[Change]) -> RenderableType:
    table = _table("vector", "factor", "why")
    for change in changes[:ROWS]:
        vector, why = ".".join(map(str, change.place)), Text(printable(change.why), "dim")
        table.add_row(Text(vector), Text(f"{change.scale:g}"), why)
    return _titled(title, table, len(changes))


@glance.register
def _(judgement: Judgement, width: int) -> RenderableType:
    table = _table("vector", "score", "concepts", "why")
    for s in judgement.scores[:ROWS]:
        cells = (f"{s.layer}.{s.head}.{s.sv}{POLE_SIGN[s.pole]}", str(s.score), s.concepts, s.why)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return _titled(repr(judgement), table, len(judgement.scores))


def _title(artefact: Artefact) -> str:
    return printable(" · ".join([artefact.kind, artefact.model.name or "–", *artefact.facts()]))


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in FIGURES else "left", overflow="fold")
    return table


def _titled(of: Artefact | str, table: Table, count: int) -> RenderableType:
    """A title as wide as there is room, the table, and how many more rows there are."""
    left = count - table.row_count
    more = [Text(f"and {left} more: {FRAME}", "dim")] if left else []
    return Group(Text(of if isinstance(of, str) else _title(of), "bold"), table, *more)


def _shown(value: float | None, show: str) -> Text:
    return Text(figures.NOTHING if value is None else figures.SHOW[show](value))
