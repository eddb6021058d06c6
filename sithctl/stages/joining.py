"""Codes of single layers put together, as if they had been made at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sithctl.kinds import Array, Codes, Concepts, LayerCodes
from sithctl.kinds.base import Blobs


def joined(parts: Sequence[Codes]) -> Codes:
    """One model's codes of several layers, with the concepts that these use and no others.

    What is looked up by a concept's label then does not depend on what else was made when the
    parts were.

    Args:
        parts: of one model, pool and mean; at least one.
    """
    layers = {n: values for part in parts for n, values in part.layers.items()}
    identity = replace(
        parts[0].model, layers={n: d for p in parts for n, d in p.model.layers.items()}
    )
    return replace(parts[0], model=identity, layers=layers, concepts=used_concepts(parts, layers))


def used_concepts(parts: Sequence[Codes], layers: Mapping[int, LayerCodes]) -> Concepts:
    """The concepts that some layers use, as parts know them."""
    known = {int(i): (p, k) for p in parts for k, i in enumerate(p.concepts.indices)}
    used = sorted({int(i) for v in layers.values() for i in np.unique(v.indices) if i >= 0})
    return _concepts(used, [known[i] for i in used])


def _concepts(used: list[int], places: list[tuple[Codes, int]]) -> Concepts:
    def column(name: str) -> list[Any] | None:
        found = [getattr(part.concepts, name) for part, _ in places]
        if any(values is None for values in found) or not found:
            return None
        return [values[k] for values, (_, k) in zip(found, places, strict=True)]

    vectors: Array = np.array(column("vectors") or np.zeros((0, 0)), dtype=np.float32)
    thumbnails = column("thumbnails")
    return Concepts(
        np.array(used, dtype=np.int64),
        column("labels") or [],
        vectors,
        column("factors"),
        column("sources"),
        column("detail_captions"),
        None if thumbnails is None else Blobs(thumbnails),
    )
