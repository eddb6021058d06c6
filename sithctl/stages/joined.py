"""Codes of single layers, as the cache keeps them, put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from sithctl.kinds import Blobs, Codes, Concepts


def join_codes(parts: Sequence[Codes]) -> Codes:
    """Codes of several layers as one, with the concepts that any of them uses.

    Args:
        parts: of one model, pool, mean and set of options; each layer once.
    """
    first = parts[0]
    digests = {n: d for part in parts for n, d in part.model.layers.items()}
    return replace(
        first,
        model=replace(first.model, layers=dict(sorted(digests.items()))),
        layers={n: values for part in parts for n, values in part.layers.items()},
        concepts=_concepts([part.concepts for part in parts]),
    )


def _concepts(parts: Sequence[Concepts]) -> Concepts:
    where = {int(i): (p, k) for p, part in enumerate(parts) for k, i in enumerate(part.indices)}
    order = [where[i] for i in sorted(where)]

    def rows(name: str) -> Any:
        columns = [getattr(part, name) for part in parts]
        if columns[0] is None:
            return None
        chosen = [columns[p][k] for p, k in order]
        if isinstance(columns[0], np.ndarray):
            return np.array(chosen, dtype=columns[0].dtype)
        return Blobs(chosen) if isinstance(columns[0], Blobs) else chosen

    return Concepts(*(rows(field.name) for field in fields(Concepts)))
