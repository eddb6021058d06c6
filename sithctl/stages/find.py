"""Which vectors say something: those whose explanations name some words, or are like them. No torch
here: a search of cached codes must answer at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sithctl.kinds import Array, Codes, Concepts
from sithctl.stages.explain import Explanation, explain
from sithctl.stages.similarity import Encode, by_captions, by_text_tower, names, words_of

THRESHOLD = 0.3  # the least similarity, here and for an edit
NEAR = 0.7  # of difflib's ratio: a letter missing or two exchanged


@dataclass(frozen=True)
class Match:
    """An explanation that says what was asked for.

    Attributes:
        weight: the share of its coefficients that is on matching concepts; by similarity, the mean
            of its concepts' weighted by coefficient.
        phrase: which of the phrases it says most.
        alike: of each of its concepts, how like the nearest phrase it is: 0 or 1 by words.
    """

    explanation: Explanation
    weight: float
    phrase: str
    alike: tuple[float, ...]


def find(
    codes: Codes,
    phrases: Sequence[str],
    *,
    similar: bool = False,
    encode: Encode | None = None,
    threshold: float | None = None,
    layer: str | int | None = None,
    head: str | int | None = None,
    min_grade: str | None = None,
) -> list[Match]:
    """The explanations, of either pole, that say any of some phrases.

    Args:
        codes: from ``decompose``.
        phrases: words, or several words that stand one after another in a label.
        similar: match by similarity and not by words.
        encode: a text tower, for similarity; None stands for the captions that name a phrase.
        threshold: the least weight; by words anything above 0, by similarity ``THRESHOLD``.
        layer, head, min_grade: as of ``explain``.

    Returns:
        By descending weight; equal ones by layer, head, vector and pole.
    """
    likeness = alike(codes.concepts, phrases, encode) if similar else by_words(codes, phrases)
    least = (THRESHOLD if similar else 0.0) if threshold is None else threshold
    rows = explain(codes, layer=layer, head=head, min_grade=min_grade)
    found = matches(codes, rows, likeness, phrases)
    return sorted((m for m in found if m.weight >= least and m.weight > 0), key=lambda m: -m.weight)


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
