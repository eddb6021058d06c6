"""What ``find`` found: a line a match, for people and for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from sithctl.kinds import Match, WeightedConcept
from sithctl.stages.find import THRESHOLD
from sithctl.views.records import cell, delimited, record
from sithctl.views.terminal import (
    GRADE_STYLE,
    PLAIN,
    POLE_SIGN,
    POLE_STYLE,
    WIDE,
    as_plain,
    bar,
    bar_width,
    blank,
    concepts,
    figure,
    narrow,
)
from sithctl.views.terminal import footnotes as explained
from sithctl.views.text import label, printable

COLUMNS = (
    "layer",
    "head",
    "sv",
    "side",
    "pole",
    "singular_value",
    "energy",
    "degenerate",
    "feature_fidelity",
    "weight",
    "phrase",
    "matching",
    "others",
)


def table(matches: Sequence[Match], title: str, width: int) -> RenderableType:
    """A row a match, the best first: its place as ``edit --set`` takes it, its weight, and the
    concepts that match before those that do not.

    Args:
        width: of the terminal, in columns.
    """
    wide, slim = width >= WIDE, narrow(width)
    graded = any(m.explanation.grade for m in matches)
    result = blank(title, width)
    result.add_column("vector", no_wrap=True)
    result.add_column("", no_wrap=True)
    result.add_column("weight", no_wrap=True)
    if not slim:
        result.add_column("σ", justify="right", no_wrap=True)
        result.add_column("fidelity" if wide else "fid.", justify="right", no_wrap=True)
    if graded:
        result.add_column("grade", justify="center", no_wrap=True)
    result.add_column("says", ratio=1)
    if wide:
        result.add_column("beside", ratio=1, overflow="fold")
    for match in matches:
        e, bars = match.explanation, bar_width(width)
        cells = [
            Text(f"{e.layer}.{e.head}.{e.sv}{'≈' if e.degenerate else ''}"),
            Text(POLE_SIGN[e.pole], style=POLE_STYLE[e.pole]),
            _weight(match, bars),
        ]
        if not slim:
            cells += [Text(f"{e.singular_value:.3g}"), Text(figure(e.fidelity.feature))]
        if graded:
            cells.append(Text(e.grade or "–", style=GRADE_STYLE.get(e.grade or "", "")))
        says = (_said(match), _beside(match)) if wide else (_both(match, slim),)
        result.add_row(*cells, *says)
    return result


def plain_text(matches: Sequence[Match], title: str) -> str:
    """The table as text, for a file: no colour, wide."""
    return as_plain(table(matches, title, PLAIN), footnotes(matches))


def footnotes(matches: Sequence[Match], hidden: int = 0, total: int = 0) -> list[str]:
    """What a reader of the table should know."""
    notes = [f"{hidden} of {total} are not shown: --top {total} shows all"] if hidden else []
    return notes + explained([m.explanation for m in matches])


def _weight(match: Match, width: int) -> Text:
    style = POLE_STYLE[match.explanation.pole]
    drawn = bar(match.weight, width).ljust(width) + " " if width else ""
    return Text.assemble((drawn, style), f"{match.weight:.2f}")


def _said(match: Match) -> RenderableType:
    """The concepts that match, one a line."""
    return concepts(replace(match.explanation, concepts=tuple(_split(match)[0])), 1.0, 0, 0)


def _beside(match: Match) -> Text:
    """The other concepts, on one line."""
    return Text(", ".join(label(c.concept) for c in _split(match)[1]), style="dim")


def _both(match: Match, slim: bool) -> RenderableType:
    """The others below those that match, as far as there is room on one line."""
    said, beside = _said(match), _beside(match)
    if slim or not beside:
        return said
    return Group(said, Text.assemble(("and  ", "dim"), beside, no_wrap=True, overflow="ellipsis"))


def _split(match: Match) -> tuple[list[WeightedConcept], list[WeightedConcept]]:
    """By similarity, a concept matches that reaches the least similarity of a whole match."""
    pairs = list(zip(match.explanation.concepts, match.alike, strict=True))
    mine = [concept for concept, alike in pairs if alike >= THRESHOLD]
    return mine, [concept for concept, alike in pairs if alike < THRESHOLD]


def as_json(matches: Iterable[Match], header: dict[str, Any]) -> str:
    """One document: the header's entries, then the matches."""
    document = {**header, "matches": [_record(match) for match in matches]}
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def as_jsonl(matches: Iterable[Match]) -> str:
    lines = (json.dumps(_record(m), ensure_ascii=False, allow_nan=False) for m in matches)
    return "".join(f"{line}\n" for line in lines)


def _record(match: Match) -> dict[str, Any]:
    """An explanation as ``explain`` has it, with its weight, and how like each concept is."""
    found = record(match.explanation)
    found["concepts"] = [
        concept | {"alike": round(alike, 6)}
        for concept, alike in zip(found["concepts"], match.alike, strict=True)
    ]
    return {"weight": match.weight, "phrase": match.phrase} | found


def as_csv(matches: Iterable[Match], delimiter: str = ",") -> str:
    """A line a match, ready for ``cut`` and ``sort``; a flag is 0 or 1."""
    return delimited(*flat(matches), delimiter)


def flat(matches: Iterable[Match]) -> tuple[tuple[str, ...], list[list[Any]]]:
    """Names of columns, and a row a match; the last is the grade where there are any."""
    found = list(matches)
    graded = any(m.explanation.grade for m in found)
    rows = [[*_row(m), *([m.explanation.grade] if graded else [])] for m in found]
    return (*COLUMNS, *(("grade",) if graded else ())), rows


def _row(match: Match) -> list[Any]:
    e, parts = match.explanation, _split(match)
    place = [e.layer, e.head, e.sv, e.side, e.pole]
    figures = [e.singular_value, e.energy, e.degenerate, e.fidelity.feature]
    labels = ["; ".join(c.concept for c in part) for part in parts]
    return [*place, *figures, match.weight, match.phrase, *labels]


def as_markdown(matches: Iterable[Match]) -> str:
    """One table."""
    lines = ["| vector | pole | weight | σ | fidelity | says | beside |"]
    lines += ["|:---|:---:|---:|---:|---:|:---|:---|"]
    for match in matches:
        e, (mine, others) = match.explanation, _split(match)
        labels = [", ".join(cell(c.concept) for c in part) for part in (mine, others)]
        known = "" if e.fidelity.feature is None else f"{e.fidelity.feature:.2f}"
        lines.append(
            f"| {e.layer}.{e.head}.{e.sv} | {e.pole} | {match.weight:.2f} | {e.singular_value:.3g} "
            f"| {known} | {labels[0]} | {labels[1]} |"
        )
    return "\n".join(lines) + "\n"


def title(model: str | None, phrases: Sequence[str], count: int) -> str:
    """What was asked, and how much there is of it."""
    asked = printable(", ".join(phrases))
    found = f"{count} explanation{'' if count == 1 else 's'}"
    return f"{printable(model or 'codes')} · {asked} · {found}"
