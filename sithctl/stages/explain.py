"""Codes as a list of explanations, chosen by layer, head and vector. No torch here: a cached
``explain`` must answer at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from sithctl.errors import InputError
from sithctl.kinds import Codes, LayerCodes
from sithctl.kinds.codes import GRADES, REASONS
from sithctl.kinds.explanations import Explanation, Explanations, Fidelity, WeightedConcept
from sithctl.stages.layers import parse_selection
from sithctl.stages.takes import check_taken

__all__ = ["Explanation", "Explanations", "Fidelity", "WeightedConcept", "explain"]


def explain(
    codes: Codes,
    *,
    layer: str | int | None = None,
    head: str | int | None = None,
    sv: str | int | None = None,
    top: int | None = None,
    min_grade: str | None = None,
) -> Explanations:
    """The explanations in ``codes`` (SITH, Sec. 3): each pole of each vector by its concepts.

    Args:
        codes: from ``decompose``.
        layer, head, sv: selections such as ``5``, ``0-3``, ``-1``; all when None.
        top: the first so many singular vectors of each head.
        min_grade: of these, explanations of this grade or a better one: ``A`` to ``D``.

    Returns:
        A sequence of explanations, ordered by layer, head, vector and pole, which Jupyter shows as
        a table.

    Raises:
        InputError: a layer, head or vector out of range, or codes without the grades asked for.

    >>> from sithctl import decompose, encode_pool, fold, svd
    >>> pool = encode_pool(["crimson", "ocean", "ring", "snow", "box"])
    >>> explain(decompose(svd(fold("scenes", 5)), pool), head=0, sv=0)
    2 explanations of scenes
      <5.0.0+ σ 0.554: 'ocean' 0.68, 'ring' 0.63, 'box' 0.31, 'crimson' 0.26>
      <5.0.0- σ 0.554: 'crimson' 0.47, 'box' 0.40, 'snow' 0.10, 'ring' 0.05>
    """
    check_taken("explain", Codes, codes)
    if min_grade is not None:
        check_graded(codes.graded, codes.model.name)
    found = _explanations(codes, _text(layer), _text(head), _text(sv), top)
    chosen = (e for e in found if min_grade is None or (e.grade or "Z") <= min_grade)
    return Explanations(tuple(chosen), codes.model.name)


def check_graded(graded: bool, where: str | None) -> None:
    """Refuse codes that nobody has graded."""
    if not graded:
        todo = "grade them with `sithctl eval trust CODES --spectra FILE --pool POOL -o GRADED`"
        raise InputError("the codes have no grades", where, todo)


def _text(selection: str | int | None) -> str | None:
    return None if selection is None else str(selection)


def _explanations(
    codes: Codes, layer: str | None, head: str | None, sv: str | None, top: int | None
) -> Iterator[Explanation]:
    where = codes.model.name or "these codes"
    labels = _Labels(codes)
    for number in _layers(codes, layer, where):
        values = codes.layers[number]
        heads, rank = values.singular_values.shape
        chosen_heads = _select(head, heads, "head", f"layer {number} of {where}")
        chosen = _select(sv, rank, "singular vector", f"layer {number} of {where}")[:top]
        for h in chosen_heads:
            for i in chosen:
                for p, pole in enumerate(codes.poles):
                    yield _one(codes, values, labels, (number, h, i, p), pole)


def _layers(codes: Codes, layer: str | None, where: str) -> list[int]:
    have = sorted(codes.layers)
    if layer is None:
        return have
    chosen = parse_selection(layer, int(codes.architecture["layers"]), "layer", where)
    for number in chosen:
        if number not in have:
            raise InputError(
                f"the codes lack layer {number}",
                where,
                f"they hold {', '.join(map(str, have))}; decompose with --layers {number}",
            )
    return chosen


def _select(text: str | None, count: int, noun: str, where: str) -> list[int]:
    if text is None:
        return list(range(count))
    return parse_selection(text, count, noun, where)


class _Labels:
    """From a concept's place in the pool to its label and factors."""

    def __init__(self, codes: Codes) -> None:
        self.concepts = codes.concepts
        self.place = {int(index): i for i, index in enumerate(codes.concepts.indices)}

    def weighted(self, index: int, coefficient: float) -> WeightedConcept:
        i, known = self.place[index], self.concepts
        return WeightedConcept(
            known.labels[i],
            coefficient,
            index,
            None if known.factors is None else known.factors[i],
            None if known.sources is None else known.sources[i],
            None if known.detail_captions is None else known.detail_captions[i],
            None if known.thumbnails is None else known.thumbnails[i],
        )


def _one(
    codes: Codes, values: LayerCodes, labels: _Labels, at: tuple[int, int, int, int], pole: str
) -> Explanation:
    layer, h, i, p = at
    pairs: Iterable[tuple[int, float]] = zip(
        values.indices[h, i, p].tolist(), values.coefficients[h, i, p].tolist(), strict=True
    )
    grade, reasons = values.grade, values.reasons
    figures = [None if np.isnan(x) else float(x) for x in values.fidelity[h, i, p]]
    return Explanation(
        layer,
        h,
        i,
        codes.parameters["side"],
        pole,
        float(values.singular_values[h, i]),
        float(values.energy[h, i]),
        bool(values.degenerate[h, i]),
        Fidelity(*figures),
        tuple(labels.weighted(index, weight) for index, weight in pairs if index >= 0),
        None if grade is None else GRADES[int(grade[h, i, p]) - 1],
        () if reasons is None else flagged(int(reasons[h, i, p])),
    )


def flagged(reasons: int) -> tuple[str, ...]:
    """The reasons whose bits are set.

    >>> flagged(0b11)
    ('degenerate', 'unstable')
    """
    return tuple(name for bit, name in enumerate(REASONS) if reasons >> bit & 1)
