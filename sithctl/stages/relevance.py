"""Vectors chosen by what their explanations are about: words, or the classes of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sithctl.errors import InputError
from sithctl.kinds import Array, Change, Codes, Pool
from sithctl.pursuit import sparse_code
from sithctl.stages.centring import centre_pool
from sithctl.stages.explain import explain
from sithctl.stages.find import THRESHOLD, alike, matches
from sithctl.stages.similarity import Encode, unit, words_of

TASK_SPARSITY = 10  # concepts that stand for a class: the paper's
Place = tuple[int, int, int]


@dataclass(frozen=True)
class Reached:
    """How far a vector's explanation is about something: the better of its two poles.

    Attributes:
        score: coefficient-weighted mean similarity of its concepts.
        what: which of the phrases it is about.
    """

    score: float
    pole: str
    what: str


def by_words(
    codes: Codes,
    phrases: Sequence[str],
    factor: float,
    *,
    encode: Encode | None = None,
    threshold: float = THRESHOLD,
    max_vectors: int | None = None,
) -> list[Change]:
    """Vectors whose explanations, of either pole, are about some words.

    A concept's similarity is its largest with one of the phrases, by the text tower or by the
    captions that name them; an explanation's the mean of its concepts', weighted by coefficient.

    Args:
        codes: of the model that is to be edited.
        phrases: what the vectors are to be about.
        factor: for their σ.
        encode: the model's text tower; None where it has none.
        threshold: the least similarity.
        max_vectors: so many at most, the most similar.

    Returns:
        A change for each, the most similar first.

    Raises:
        InputError: no caption names a phrase, or no explanation reaches the threshold.
    """
    reached = reaching(codes, phrases, encode)
    order = sorted(reached, key=lambda place: (-reached[place].score, place))
    chosen = [place for place in order if reached[place].score >= threshold][:max_vectors]
    if not chosen:
        best = reached[order[0]].score if order else 0.0
        raise InputError(
            f"no explanation is about {', '.join(phrases)} (the nearest reaches {best:.2f} of "
            f"{threshold:g})",
            codes.model.name,
            f"the nearest concepts are {_nearest_labels(codes, phrases, encode)}; lower "
            "--threshold, or choose other words",
        )
    return [Change(*place, factor, _why(reached[place])) for place in chosen]


def reaching(codes: Codes, phrases: Sequence[str], encode: Encode | None) -> dict[Place, Reached]:
    """How far each vector's explanation is about the phrases."""
    best: dict[Place, Reached] = {}
    for match in matches(codes, explain(codes), _alike(codes, phrases, encode), phrases):
        e = match.explanation
        place = (e.layer, e.head, e.sv)
        if place not in best or match.weight > best[place].score:
            best[place] = Reached(match.weight, e.pole, match.phrase)
    return best


def _alike(codes: Codes, phrases: Sequence[str], encode: Encode | None) -> Array:
    likeness = alike(codes.concepts, phrases, encode)
    for column, phrase in enumerate(phrases):
        if encode is None and not likeness[:, column].any():
            from sithctl.models.nearest import nearest

            known = sorted({word for label in codes.concepts.labels for word in words_of(label)})
            raise InputError(
                f"no caption names {phrase}", codes.model.name, f"nearest: {nearest(phrase, known)}"
            )
    return likeness


def _nearest_labels(codes: Codes, phrases: Sequence[str], encode: Encode | None) -> str:
    likeness = _alike(codes, phrases, encode).max(1)
    return ", ".join(codes.concepts.labels[i] for i in np.argsort(-likeness, kind="stable")[:5])


def _why(reached: Reached) -> str:
    return f"{reached.what}: similarity {reached.score:.2f} ({reached.pole})"


def by_task(
    codes: Codes,
    pool: Pool,
    classes: Sequence[str],
    encode: Encode,
    *,
    floor: float = 0.8,
    offset: float = 0.3,
    ceiling: float | None = None,
) -> list[Change]:
    """α = max(floor, R(v) + offset): the paper's edit for classification (SITH, Sec. 4.4).

    The task's concepts are those of COMP codes (K 10) of the class names, which are themselves left
    out of the pool; R(v) is the coefficient-weighted largest cosine of a vector's concepts with
    them, of the better pole.

    Args:
        codes: of the model that is to be edited, by ``pool``.
        pool: of texts.
        classes: class names.
        encode: the model's text tower.
    """
    if pool.model.space not in (None, codes.model.space):
        raise InputError(
            "the pool was encoded by another model",
            f"pool of {pool.model.name}, codes of {codes.model.name}",
            "give the pool that the codes were made with",
        )
    targets = _task_concepts(pool, classes, encode)
    cosines = np.clip(codes.concepts.vectors @ targets.T, 0.0, None).max(1)
    place_of = {int(index): i for i, index in enumerate(codes.concepts.indices)}
    relevance: dict[Place, tuple[float, str]] = {}
    for e in explain(codes):
        weights = np.array([c.coefficient for c in e.concepts])
        found = np.array([cosines[place_of[c.index]] for c in e.concepts])
        value = float(weights @ found / weights.sum()) if e.concepts else 0.0
        place = (e.layer, e.head, e.sv)
        relevance[place] = max(relevance.get(place, (0.0, e.pole)), (value, e.pole))
    most = float("inf") if ceiling is None else ceiling
    return [
        Change(*place, min(most, max(floor, r + offset)), f"task: R {r:.2f} ({pole})")
        for place, (r, pole) in sorted(relevance.items())
    ]


def _task_concepts(pool: Pool, classes: Sequence[str], encode: Encode) -> Array:
    """(used, features): the centred unit embeddings of the concepts that stand for the classes."""
    named = {name.casefold().strip() for name in classes}
    kept = [i for i, concept in enumerate(pool.concepts) if concept.casefold().strip() not in named]
    if not kept:
        raise InputError("no concept is left beside the class names", pool.model.name, "add some")
    dictionary, mean = centre_pool(pool.embeddings[kept])
    rows = unit(unit(encode(list(classes))) - mean)
    sparsity = min(TASK_SPARSITY, len(kept))
    found = sparse_code(
        torch.from_numpy(rows).float(), dictionary, method="comp", sparsity=sparsity
    )
    used = found.indices[found.indices >= 0].unique()
    return np.asarray(dictionary[used].numpy())
