"""Explain singular vectors by concepts: read-out, sparse coding, fidelity (SITH, Sec. 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import (
    Array,
    Blobs,
    Codes,
    Concepts,
    LayerCodes,
    LayerSpectra,
    Mean,
    Pool,
    Spectra,
    entry,
)
from sithctl.models.device import check_device
from sithctl.models.readout import centred_features
from sithctl.pursuit import SparseCodes, sparse_code
from sithctl.pursuit.coding import BATCH, Report
from sithctl.stages.centring import centre_pool
from sithctl.stages.fidelity import fidelity
from sithctl.stages.fitting import check_pool, mean_vector, resolve_mean
from sithctl.stages.options import Options
from sithctl.stages.vectors import Shape, chosen_layers, vectors_of

T = TypeVar("T")


def decompose(
    spectra: Spectra,
    pool: Pool,
    mean: Mean | Literal["none"] | None = None,
    *,
    layers: str | int | Sequence[int] | None = None,
    options: Options | None = None,
    batch_size: int = BATCH,
    device: str = "cpu",
    screen: bool | None = None,
    progress: Callable[[int, int], None] | None = None,
    report: Report | None = None,
) -> Codes:
    """Explain singular vectors as sparse, non-negative combinations of concepts.

    Args:
        spectra: from ``svd``.
        pool: of the same model.
        mean: of the same model's image features; ``"none"`` for no centring of the read-outs; None
            takes the pool's own for an image pool and the bundled one for the bundled model.
        layers: ``20-23``, ``-4-`` or numbers; the last four that the spectra hold when None.
        options: method, sparsity, coherence, rank, side, pole.
        batch_size: vectors in one product; the result does not depend on it.
        device: where the pursuit runs.
        screen: as in ``sparse_code``; the result does not depend on it.
        progress: called with (steps done, steps in all).
        report: called at the end with what was scored how often.

    Returns:
        Codes with indices and coefficients (heads, rank, poles, K) a layer.

    Raises:
        InputError: a pool or a mean of another model, no mean where one is needed, NaN values,
            or numbers out of range.
    """
    options = options or Options()
    check_device(device, double=True)
    task = pose(spectra, pool, mean, layers, options)
    if options.sparsity > len(task.dictionary):
        raise InputError(
            f"the pool has {len(task.dictionary)} concepts, fewer than the sparsity "
            f"{options.sparsity}",
            pool.model.name,
            "lower --sparsity or give a larger pool",
        )
    result = code(
        task.targets,
        task.dictionary,
        options,
        batch_size=batch_size,
        device=device,
        screen=screen,
        progress=progress,
        report=report,
    )
    return answer(task, result, options.document())


def code(
    targets: Tensor,
    dictionary: Tensor,
    options: Options,
    *,
    batch_size: int = BATCH,
    device: str = "cpu",
    screen: bool | None = None,
    progress: Callable[[int, int], None] | None = None,
    report: Report | None = None,
) -> SparseCodes:
    """Sparse codes of (n, features) targets by (M, features) unit rows, as ``options`` say."""
    result = sparse_code(
        targets.float().to(device),
        dictionary.to(device),
        method=options.method,
        sparsity=options.sparsity,
        coherence=options.coherence,
        batch_size=batch_size,
        screen=screen,
        progress=progress,
        report=report,
    )
    return SparseCodes(*(t.cpu() for t in vars(result).values()))


@dataclass(frozen=True)
class Task:
    """What is to be explained, and by what.

    Attributes:
        mean: the one that is used; None for none.
        layers: chosen, ascending.
        mu: (features,) float64, μ.
        dictionary: (M, features) float32, unit rows.
        pool_mean: (features,) float32.
        vectors: (n, width) float64, of all layers, heads, ranks and poles in this order.
        shapes: each layer's heads and rank.
        targets: (n, features) float64, p̂.
    """

    spectra: Spectra
    pool: Pool
    mean: Mean | None
    options: Options
    layers: list[int]
    mu: Tensor
    dictionary: Tensor
    pool_mean: Array
    vectors: Tensor
    shapes: list[Shape]
    targets: Tensor


def pose(
    spectra: Spectra,
    pool: Pool,
    mean: Mean | Literal["none"] | None,
    layers: str | int | Sequence[int] | None,
    options: Options,
) -> Task:
    """Check that spectra, pool and mean fit together, and read the vectors out."""
    check_pool(spectra, pool)
    resolved = resolve_mean(spectra, pool, mean)
    mu = mean_vector(resolved, spectra.readout.features)
    chosen = chosen_layers(spectra, layers)
    dictionary, pool_mean = centre_pool(pool.embeddings)
    vectors, shapes = vectors_of(spectra, chosen, options)
    targets = centred_features(vectors, spectra.readout, mu)
    return Task(
        spectra,
        pool,
        resolved,
        options,
        chosen,
        mu,
        dictionary,
        pool_mean,
        vectors,
        shapes,
        targets,
    )


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
        task.pool_mean,
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


def _used_concepts(pool: Pool, dictionary: Tensor, indices: Tensor) -> Concepts:
    used = indices[indices >= 0].unique()
    rows = used.tolist()
    return Concepts(
        used.numpy(),
        [pool.concepts[i] for i in rows],
        dictionary[used].numpy(),
        _chosen(pool.factors, rows),
        _chosen(pool.sources, rows),
        _chosen(pool.detail_captions, rows),
        None if pool.thumbnails is None else Blobs(pool.thumbnails[i] for i in rows),
    )


def _chosen(column: list[T] | None, rows: list[int]) -> list[T] | None:
    return None if column is None else [column[i] for i in rows]
