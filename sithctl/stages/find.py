"""Which vectors say something: those whose explanations name some words, or are like them. No torch
here: a search of cached codes must answer at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

import numpy as np

from sithctl.kinds import Array, Codes, Concepts, Match, Matches
from sithctl.stages.explain import Explanation, explain
from sithctl.stages.similarity import (
    Encode,
    by_captions,
    by_text_tower,
    check_phrases,
    names,
    phrases_in,
    words_of,
)
from sithctl.stages.takes import check_taken

THRESHOLD = 0.3  # the least similarity, here and for an edit
NEAR = 0.7  # of difflib's ratio: a letter missing or two exchanged


def find(
    codes: Codes,
    phrases: str | Sequence[str],
    *,
    similar: bool = False,
    encode: Encode | None = None,
    threshold: float | None = None,
    layer: str | int | None = None,
    head: str | int | None = None,
    min_grade: str | None = None,
) -> Matches:
    """The explanations (SITH, Sec. 3) of all layers and heads, of either pole, that say any of some
    phrases.

    Args:
        codes: from ``decompose``.
        phrases: between commas, or one by one: words, or several words that stand one after another
            in a label.
        similar: match by similarity and not by words.
        encode: a text tower, for similarity: n texts to (n, features); None stands for the concepts
            that name a phrase.
        threshold: the least weight; by words anything above 0, by similarity ``THRESHOLD``.
        layer, head, min_grade: as of ``explain``.

    Returns:
        A sequence by descending weight, equal ones by fidelity, σ, then layer, head, vector and
        pole, which Jupyter shows as a table. Vectors that an edit removed are not in it.

    Raises:
        UsageError: no word among the phrases.
        InputError: a layer or head out of range, or codes without the grades asked for.

    >>> from sithctl import decompose, encode_pool, fold, svd
    >>> pool = encode_pool(["crimson", "ocean", "ring", "snow", "box"])
    >>> find(decompose(svd(fold("scenes", 5)), pool), "crimson, ruby", head=0)[:2]
    2 explanations of scenes on 'crimson', 'ruby'
      0.58 'crimson' <5.0.3- σ 0.378: 'crimson' 0.64, 'box' 0.33, 'ring' 0.10, 'snow' 0.03>
      0.49 'crimson' <5.0.5+ σ 0.279: 'crimson' 0.91, 'ring' 0.38, 'ocean' 0.33, 'box' 0.24>
    """
    check_taken("find", Codes, codes)
    asked = phrases_in(phrases) if isinstance(phrases, str) else check_phrases(phrases)
    likeness = alike(codes.concepts, asked, encode) if similar else by_words(codes, asked)
    least = (THRESHOLD if similar else 0.0) if threshold is None else threshold
    explained = explain(codes, layer=layer, head=head, min_grade=min_grade)
    rows = [e for e in explained if not e.removed]
    found = [m for m in matches(codes, rows, likeness, asked) if m.weight >= least and m.weight > 0]
    best = tuple(sorted(found, key=_rank))
    return Matches(best, tuple(asked), codes.model.name)


def _rank(match: Match) -> tuple[float, float, float]:
    e = match.explanation
    fidelity = -2.0 if e.fidelity.feature is None else e.fidelity.feature
    return -match.weight, -fidelity, -e.singular_value


def matches(
    codes: Codes, explanations: Sequence[Explanation], likeness: Array, phrases: Sequence[str]
) -> Iterator[Match]:
    """What each explanation has of the phrases, in their order; those without concepts left out.

    Args:
        likeness: (used concepts, phrases).
    """
    row_of = {int(index): row for row, index in enumerate(codes.concepts.indices)}
    for e in explanations:
        weights = np.array([c.coefficient for c in e.concepts])
        if not weights.sum() > 0:
            continue
        rows = likeness[[row_of[c.index] for c in e.concepts]]
        best = rows.max(1)
        # Rounded, so that equal shares of unlike coefficients are equal.
        weight = round(float(weights @ best / weights.sum()), 9)
        phrase = phrases[int((weights @ rows).argmax())]
        yield Match(e, weight, phrase, tuple(best.tolist()))


def by_words(codes: Codes, phrases: Sequence[str]) -> Array:
    """(used concepts, phrases) 1 where a label has a phrase's words, whatever their case."""
    labels = codes.concepts.labels
    return np.array([[float(names(label, p)) for p in phrases] for label in labels]).reshape(
        len(labels), len(phrases)
    )


def alike(concepts: Concepts, phrases: Sequence[str], encode: Encode | None) -> Array:
    """(used concepts, phrases) similarities, by the text tower or by the captions that name them;
    a phrase that no caption names has a column of zeros."""
    if encode is None:
        return by_captions(concepts, phrases)
    return by_text_tower(concepts.labels, phrases, encode)


def unnamed(codes: Codes, phrases: Sequence[str]) -> list[str]:
    """The phrases that no concept of any explanation names."""
    labels = codes.concepts.labels
    return [p for p in phrases if not any(names(label, p) for label in labels)]


def suggestions(codes: Codes, phrase: str, count: int = 3) -> list[str]:
    """Words that the codes' labels have, or whole labels for several words, and that ``phrase`` may
    have meant; none where nothing is near."""
    labels = codes.concepts.labels
    words = {word for label in labels for word in words_of(label)}
    known = words | {label.casefold() for label in labels} if " " in phrase else words
    return difflib.get_close_matches(phrase.casefold(), sorted(known), count, NEAR)
