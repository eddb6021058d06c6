"""Explanations in UniSITH's own layout: layers, in them heads, in them ``singular_vectors``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sithctl.stages.explain import Explanation


def as_unisith(explanations: Iterable[Explanation]) -> str:
    """One document: ``{layer: {head: {"singular_vectors": […]}}}``.

    Args:
        explanations: in any order; a head's vectors stand in it, each with its poles together.

    UniSITH explains one sign of a vector: the first of the poles stands where it has its own, and
    a second one under ``minus``, which its readers pass over. ``fidelity`` is the cosine in the
    model's feature space.
    """
    layers: dict[str, dict[str, Any]] = {}
    vectors: dict[tuple[int, int, int], list[Explanation]] = {}
    for e in explanations:
        vectors.setdefault((e.layer, e.head, e.sv), []).append(e)
    for (layer, head, _), poles in vectors.items():
        place = layers.setdefault(str(layer), {}).setdefault(str(head), {"singular_vectors": []})
        place["singular_vectors"].append(_vector(sorted(poles, key=lambda e: e.pole)))
    return json.dumps(layers, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _vector(poles: list[Explanation]) -> dict[str, Any]:
    first = poles[0]
    vector = {
        "sv_index": first.sv,
        "singular_value": first.singular_value,
        **_pole(first),
    }
    return vector if len(poles) == 1 else {**vector, "minus": _pole(poles[1])}


def _pole(e: Explanation) -> dict[str, Any]:
    return {
        "pole": e.pole,
        "concepts": [
            {"caption": c.concept, "coefficient": c.coefficient, "concept_idx": c.index}
            for c in e.concepts
        ],
        "fidelity": e.fidelity.feature,
        "image_ids": [c.image for c in e.concepts if c.image is not None],
    }
