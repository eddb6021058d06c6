"""What a report shows, as one JSON document: small, each label and picture in it once."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sithctl.kinds import Array, Codes
from sithctl.stages.explain import Explanation, WeightedConcept
from sithctl.stages.summary import HeadFigures, coherence, summarise
from sithctl.views.terminal import footnotes
from sithctl.views.text import printable, subject


@dataclass(frozen=True)
class Shown:
    """One model's side of a report.

    Attributes:
        source: the codes' file name; None where they come from a pipe or the whole chain.
        codes: of one model; one or several, each with layers of its own.
        explanations: those to show, ordered by layer, head, vector and pole.
    """

    source: str | None
    codes: Sequence[Codes]
    explanations: Sequence[Explanation]


def document(sides: Sequence[Shown]) -> dict[str, Any]:
    """The data of a report.

    Args:
        sides: one model, or two to compare.

    Returns:
        ``sides``, each with its ``facts``, ``heads`` and ``concepts``; the facts that are
        ``differing``; and all ``pictures``.
        A head's ``vectors`` are rows ``[sv, pole, fidelity, residual, ceiling, coherence, [concept,
        coefficient, …], grade, reasons]``, a concept being its place in ``concepts``. Every text is
        as ``printable`` writes it.
    """
    pictures = _Pictures()
    shown = [_side(side, pictures) for side in sides]
    names = sorted({name for side in shown for name in side["facts"]})
    differing = [n for n in names if len({side["facts"].get(n) for side in shown}) > 1]
    return {"sides": shown, "differing": differing, "pictures": pictures.encoded}


def _side(side: Shown, pictures: _Pictures) -> dict[str, Any]:
    first, concepts = side.codes[0], _ConceptTable(pictures)
    rows: dict[tuple[int, int], list[Explanation]] = defaultdict(list)
    for e in side.explanations:
        rows[e.layer, e.head].append(e)
    figures = summarise(side.codes)
    heads = [
        _head(codes, figures[place], rows[place], concepts)
        for codes in side.codes
        for place in rows
        if place[0] in codes.layers
    ]
    return {
        "name": subject(first),
        "source": None if side.source is None else printable(side.source),
        "facts": _facts(first),
        "notes": footnotes(side.explanations),
        "graded": any(head["trusted"] is not None for head in heads),
        "heads": heads,
        "concepts": concepts.columns(),
    }


def _facts(codes: Codes) -> dict[str, str]:
    """How the codes were made, in words."""
    known = codes.parameters
    facts = {"family": codes.architecture.get("family"), "method": known.get("method")}
    facts |= {"K": known.get("sparsity")}
    if known.get("method") == "comp":
        facts["λ"] = known.get("coherence")
    facts |= {"side": known.get("side"), "rank": known.get("rank")}
    return {n: printable(str(value)) for n, value in facts.items() if value is not None}


def _head(
    codes: Codes, figures: HeadFigures, rows: Sequence[Explanation], concepts: _ConceptTable
) -> dict[str, Any]:
    values, head = codes.layers[figures.layer], figures.head
    return {
        "layer": figures.layer,
        "head": head,
        "energy": figures.energy,
        "share": rounded(figures.share, 5),
        "shareOfLayer": rounded(figures.share_of_layer, 5),
        "fidelity": rounded(figures.fidelity),
        "coherence": rounded(figures.coherence),
        "trusted": rounded(figures.trusted),
        "sigma": [float(f"{sigma:.4g}") for sigma in values.singular_values[head].tolist()],
        "degenerate": np.flatnonzero(values.degenerate[head]).tolist(),
        "vectors": [
            _vector(e, alike, concepts)
            for e, alike in zip(rows, _coherence(codes, rows), strict=True)
        ],
    }


def _coherence(codes: Codes, rows: Sequence[Explanation]) -> list[float | None]:
    longest = max((len(e.concepts) for e in rows), default=0)
    indices = np.full((len(rows), longest), -1, dtype=np.int64)
    for row, e in zip(indices, rows, strict=True):
        row[: len(e.concepts)] = [c.index for c in e.concepts]
    values: Array = coherence(codes.concepts, indices)
    return [None if np.isnan(value) else rounded(value) for value in values.tolist()]


def _vector(e: Explanation, alike: float | None, concepts: _ConceptTable) -> list[Any]:
    weighted: list[float] = []
    for concept in e.concepts:
        weighted += [concepts.place(concept), round(concept.coefficient, 3)]
    known = (e.fidelity.feature, e.fidelity.residual, e.fidelity.residual_ceiling)
    row = [e.sv, e.pole, *map(rounded, known), alike, weighted]
    return row if e.grade is None else [*row, e.grade, list(e.reasons)]


def rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


class _Pictures:
    """Thumbnails, equal ones once."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}

    def place(self, jpeg: bytes | None) -> int | None:
        return None if jpeg is None else self._places.setdefault(jpeg, len(self._places))

    @property
    def encoded(self) -> list[str]:
        return [b64encode(jpeg).decode() for jpeg in self._places]


class _ConceptTable:
    """The concepts of one side by their first appearance, a column a property."""

    def __init__(self, pictures: _Pictures) -> None:
        self._pictures = pictures
        self._places: dict[int, int] = {}
        self._concepts: list[WeightedConcept] = []

    def place(self, concept: WeightedConcept) -> int:
        if concept.index not in self._places:
            self._places[concept.index] = len(self._concepts)
            self._concepts.append(concept)
        return self._places[concept.index]

    def columns(self) -> dict[str, list[Any]]:
        """``label``, and what else some concept has: ``means``, ``image``, ``detail``,
        ``picture``."""
        columns: dict[str, list[Any]] = {
            "label": [printable(c.concept) for c in self._concepts],
            "means": [_means(c) for c in self._concepts],
            "image": [c.image and printable(c.image) for c in self._concepts],
            "detail": [c.detail and printable(c.detail) for c in self._concepts],
            "picture": [self._pictures.place(c.thumbnail) for c in self._concepts],
        }
        return {
            name: column
            for name, column in columns.items()
            if name == "label" or any(value not in (None, "") for value in column)
        }


def _means(concept: WeightedConcept) -> str | None:
    """The factor values that a concept names."""
    if not concept.factors:
        return None
    return " · ".join(printable(f"{n} {v}") for n, v in sorted(concept.factors.items()))
