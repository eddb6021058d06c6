"""Explanations as data: JSON, JSON lines, CSV, TSV, Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sithctl.stages.choice import place
from sithctl.stages.explain import Explanation, WeightedConcept
from sithctl.views.terminal import footnotes, sigma
from sithctl.views.text import printable

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
    "residual_fidelity",
    "residual_ceiling",
    "rank",
    "concept",
    "coefficient",
    "index",
)


def record(explanation: Explanation) -> dict[str, Any]:
    """One explanation as JSON has it."""
    result = asdict(explanation)
    result["concepts"] = [
        {"concept": c.concept, "coefficient": c.coefficient, "index": c.index} | _of_image(c)
        for c in explanation.concepts
    ]
    if explanation.grade is None:
        del result["grade"], result["reasons"]
    return result


def _of_image(concept: WeightedConcept) -> dict[str, str]:
    """What a concept of an image pool has beside its caption."""
    beside = {"image": concept.image, "detail": concept.detail}
    return {name: text for name, text in beside.items() if text}


def as_json(explanations: Iterable[Explanation], header: dict[str, Any]) -> str:
    """One document: the header's model, architecture and parameters, then the explanations."""
    document = {**header, "explanations": [record(e) for e in explanations]}
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def as_jsonl(explanations: Iterable[Explanation]) -> str:
    return "".join(
        json.dumps(record(e), ensure_ascii=False, allow_nan=False) + "\n" for e in explanations
    )


def as_csv(explanations: Iterable[Explanation], delimiter: str = ",") -> str:
    """The columns of ``flat``, a header first; a flag is 0 or 1."""
    return delimited(*flat(explanations), delimiter)


def delimited(names: Sequence[str], rows: Iterable[Sequence[Any]], delimiter: str) -> str:
    """A table as CSV or TSV: a header, then the rows, a flag as 0 or 1."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([int(x) if isinstance(x, bool) else x for x in row] for row in rows)
    return buffer.getvalue()


def flat(explanations: Iterable[Explanation]) -> tuple[tuple[str, ...], list[list[Any]]]:
    """Names of columns, and a row a concept; an explanation without any has one row with empty
    cells. Where concepts are images, a further column has their ids; where explanations are graded,
    two further ones have the grade and its reasons."""
    found = list(explanations)
    graded = any(e.grade for e in found)
    images = any(c.image is not None for e in found for c in e.concepts)
    more = (*(("image",) if images else ()), *(("grade", "reasons") if graded else ()))
    rows: list[list[Any]] = []
    for e in found:
        last = [e.grade, " ".join(e.reasons)] if graded else []
        rows += [[*row, *last] for row in _rows(e, images)]
    return (*COLUMNS, *more), rows


def _rows(e: Explanation, images: bool) -> list[list[Any]]:
    head = [
        e.layer,
        e.head,
        e.sv,
        e.side,
        e.pole,
        e.singular_value,
        e.energy,
        e.degenerate,
        e.fidelity.feature,
        e.fidelity.residual,
        e.fidelity.residual_ceiling,
    ]
    rows = [
        [*head, k, c.concept, c.coefficient, c.index, *([c.image] if images else ())]
        for k, c in enumerate(e.concepts)
    ]
    return rows or [[*head, *([None] * (5 if images else 4))]]


def as_markdown(explanations: Sequence[Explanation], order: str | None = None) -> str:
    """A table a head; one of all where they have another order."""
    lines: list[str] = []
    graded = any(e.grade for e in explanations)
    at: tuple[int, int] | None = None
    if order is not None:
        lines += [f"### By {order}", "", *_markdown_head("vector", graded)]
    for e in explanations:
        if order is None and (e.layer, e.head) != at:
            at = (e.layer, e.head)
            lines += ["", f"### Layer {e.layer}, head {e.head}", "", *_markdown_head("sv", graded)]
        lines.append(_markdown_row(e, ".".join(map(str, place(e))) if order else f"{e.sv}", graded))
    for note in footnotes(explanations):
        lines += ["", note]
    return "\n".join(lines).lstrip("\n") + "\n"


def _markdown_head(vector: str, graded: bool) -> list[str]:
    return [
        f"| {vector} | pole | σ | energy | fidelity |{' grade |' * graded} concepts |",
        f"|---:|:---:|---:|---:|---:|{':---:|' * graded}:---|",
    ]


def _markdown_row(e: Explanation, vector: str, graded: bool) -> str:
    concepts = ", ".join(map(_weighted, e.concepts))
    fidelity = "" if e.fidelity.feature is None else f"{e.fidelity.feature:.2f}"
    mark = "≈" if e.degenerate else ""
    return (
        f"| {vector}{mark} | {e.pole} | {sigma(e)} | {e.energy:.1%} | {fidelity} "
        f"|{f' {e.grade} |' if graded else ''} {concepts} |"
    )


def _weighted(concept: WeightedConcept) -> str:
    named = "" if concept.image is None else f", {cell(concept.image)}"
    return f"{cell(concept.concept)} ({concept.coefficient:.2f}{named})"


def cell(label: str) -> str:
    """A label as text: no markup, no picture, no column of its own."""
    escaped = printable(label).replace("\\", "\\\\").replace("<", "&lt;")
    for mark in "|*_`[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped
