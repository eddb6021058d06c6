"""Codes from the explanations of a task's vectors: figures, and the concepts that are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from torch import Tensor

from sithctl.kinds import (
    Array,
    Blobs,
    Codes,
    Concepts,
    LayerCodes,
    LayerSpectra,
    Pool,
    Spectra,
    entry,
)
from sithctl.pursuit import SparseCodes
from sithctl.pursuit.dictionary import Rows
from sithctl.stages.fidelity import fidelity
from sithctl.stages.options import Options
from sithctl.stages.task import Task
from sithctl.stages.vectors import Shape

T = TypeVar("T")


def answer(
    task: Task,
    result: SparseCodes,
    parameters: dict[str, object],
    inputs: Mapping[str, str] | None = None,
) -> Codes:
    """Codes of a task from the explanations of its n vectors.

    Args:
        task: from ``pose``.
        result: (n, K) indices and coefficients, by descending coefficient.
        parameters: how they were made, for the file and its history.
        inputs: digests of what else they were made from.
    """
    spectra, pool, mean = task.spectra, task.pool, task.mean
    figures = fidelity(
        task.vectors, task.targets, result, task.dictionary, spectra.readout, task.mu
    )
    digests = {
        "spectra": spectra.digest,
        "pool": pool.digest,
        "mean": mean.digest if mean else None,
        **(inputs or {}),
    }
    before = (*spectra.history, *pool.history, *(mean.history if mean else ()))
    history = (
        *(stage for i, stage in enumerate(before) if stage not in before[:i]),  # a pool's own mean
        entry("decompose", {"layers": task.layers, **parameters}, digests),
    )
    return Codes(
        spectra.model,
        history,
        spectra.architecture,
        {"plain": spectra.plain, **parameters},
        _layer_codes(spectra, task.layers, task.shapes, result, figures, task.options),
        _used_concepts(pool, task.dictionary, result.indices),
        task.mu.float().numpy(),
        task.dictionary.mean.float().numpy(),
        spectra.readout,
    )


def _layer_codes(
    spectra: Spectra,
    layers: list[int],
    shapes: list[Shape],
    result: SparseCodes,
    figures: Tensor,
    options: Options,
) -> dict[int, LayerCodes]:
    codes: dict[int, LayerCodes] = {}
    start, poles, k = 0, len(options.poles), options.sparsity
    for layer, (heads, rank) in zip(layers, shapes, strict=True):
        rows = slice(start, start + heads * rank * poles)
        start = rows.stop
        spectrum = spectra.layers[layer]
        codes[layer] = LayerCodes(
            result.indices[rows].reshape(heads, rank, poles, k).numpy(),
            result.coefficients[rows].reshape(heads, rank, poles, k).numpy(),
            np.ascontiguousarray(spectrum.singular_values[:, :rank]),
            _energy(spectrum)[:, :rank].astype(np.float32),
            _degenerate(spectrum, options.degenerate_gap)[:, :rank],
            figures[rows].float().reshape(heads, rank, poles, 3).numpy(),
        )
    return codes


def _energy(spectrum: LayerSpectra) -> Array:
    squares = spectrum.singular_values.astype(np.float64) ** 2
    total = squares.sum(1, keepdims=True)
    return np.divide(squares, total, out=np.zeros_like(squares), where=total > 0)


def _degenerate(spectrum: LayerSpectra, gap: float) -> Array:
    """(heads, head_dim) bool: within ``gap`` of a neighbour's σ, vectors are interchangeable."""
    sigma = spectrum.singular_values.astype(np.float64)
    near = sigma[:, :-1] - sigma[:, 1:] <= gap * sigma[:, :-1]
    nothing = np.zeros((len(sigma), 1), dtype=bool)
    return np.hstack([near, nothing]) | np.hstack([nothing, near])


def _used_concepts(pool: Pool, dictionary: Rows, indices: Tensor) -> Concepts:
    used = indices[indices >= 0].unique()
    rows = used.tolist()
    return Concepts(
        used.numpy(),
        [pool.concepts[i] for i in rows],
        dictionary.take(used).numpy(),
        _chosen(pool.factors, rows),
        _chosen(pool.sources, rows),
        _chosen(pool.detail_captions, rows),
        None if pool.thumbnails is None else Blobs(pool.thumbnails[i] for i in rows),
    )


def _chosen(column: list[T] | None, rows: list[int]) -> list[T] | None:
    return None if column is None else [column[i] for i in rows]
