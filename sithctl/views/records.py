"""Explanations as data: JSON, JSON lines, CSV, TSV, Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sithctl.stages.explain import Explanation
from sithctl.views.terminal import footnotes
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
        {"concept": c.concept, "coefficient": c.coefficient, "index": c.index}
        for c in explanation.concepts
    ]
    return result


def as_json(explanations: Iterable[Explanation], header: dict[str, Any]) -> str:
    """One document: the header's model, architecture and parameters, then the explanations."""
    document = {**header, "explanations": [record(e) for e in explanations]}
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def as_jsonl(explanations: Iterable[Explanation]) -> str:
    return "".join(
        json.dumps(record(e), ensure_ascii=False, allow_nan=False) + "\n" for e in explanations
    )


def as_csv(explanations: Iterable[Explanation], delimiter: str = ",") -> str:
    """A line a concept; an explanation without any has one line with empty cells."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    writer.writerow(COLUMNS)
    for e in explanations:
        writer.writerows(_rows(e))
    return buffer.getvalue()


def _rows(e: Explanation) -> list[list[Any]]:
    head = [
        e.layer,
        e.head,
        e.sv,
        e.side,
        e.pole,
        e.singular_value,
        e.energy,
        int(e.degenerate),
        e.fidelity.feature,
        e.fidelity.residual,
        e.fidelity.residual_ceiling,
    ]
    rows = [[*head, k, c.concept, c.coefficient, c.index] for k, c in enumerate(e.concepts)]
    return rows or [[*head, None, None, None, None]]


def as_markdown(explanations: Sequence[Explanation]) -> str:
    """A table a head."""
    lines: list[str] = []
    place: tuple[int, int] | None = None
    for e in explanations:
        if (e.layer, e.head) != place:
            place = (e.layer, e.head)
            lines += ["", f"### Layer {e.layer}, head {e.head}", ""]
            lines += ["| sv | pole | σ | energy | fidelity | concepts |"]
            lines += ["|---:|:---:|---:|---:|---:|:---|"]
        concepts = ", ".join(f"{_cell(c.concept)} ({c.coefficient:.2f})" for c in e.concepts)
        fidelity = "" if e.fidelity.feature is None else f"{e.fidelity.feature:.2f}"
        mark = "≈" if e.degenerate else ""
        lines.append(
            f"| {e.sv}{mark} | {e.pole} | {e.singular_value:.3g} | {e.energy:.1%} | {fidelity} "
            f"| {concepts} |"
        )
    for note in footnotes(explanations):
        lines += ["", note]
    return "\n".join(lines).lstrip("\n") + "\n"


def _cell(label: str) -> str:
    escaped = printable(label).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return escaped.replace("*", "\\*").replace("_", "\\_").replace("`", "\\`")
