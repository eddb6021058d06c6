"""Explain singular vectors by concepts: read-out, sparse coding, fidelity (SITH, Sec. 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
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
from sithctl.pursuit.coding import BATCH
from sithctl.stages.fidelity import fidelity
from sithctl.stages.fitting import check_pool, mean_vector, resolve_mean
from sithctl.stages.layers import select_layers
from sithctl.stages.options import SIGN, Options

T = TypeVar("T")

LAST = 4  # layers explained unless told: the paper's
CHUNK = 1 << 16  # pool rows normalised at a time


def decompose(
    spectra: Spectra,
    pool: Pool,
    mean: Mean | Literal["none"] | None = None,
    *,
    layers: str | int | Sequence[int] | None = None,
    options: Options | None = None,
    batch_size: int = BATCH,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
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
        progress: called with (steps done, steps in all).

    Returns:
        Codes with indices and coefficients (heads, rank, poles, K) a layer.

    Raises:
        InputError: a pool or a mean of another model, no mean where one is needed, NaN values,
            or numbers out of range.
    """
    options = options or Options()
    check_device(device, double=True)
    check_pool(spectra, pool)
    resolved = resolve_mean(spectra, pool, mean)
    mu = mean_vector(resolved, spectra.readout.features)
    chosen = _layers(spectra, layers)
    dictionary, pool_mean = centre_pool(pool.embeddings)
    if options.sparsity > len(dictionary):
        raise InputError(
            f"the pool has {len(dictionary)} concepts, fewer than the sparsity {options.sparsity}",
            pool.model.name,
            "lower --sparsity or give a larger pool",
        )
    vectors, shapes = _vectors(spectra, chosen, options)
    targets = centred_features(vectors, spectra.readout, mu)
    result = sparse_code(
        targets.float().to(device),
        dictionary.to(device),
        method=options.method,
        sparsity=options.sparsity,
        coherence=options.coherence,
        batch_size=batch_size,
        progress=progress,
    )
    result = SparseCodes(*(t.cpu() for t in vars(result).values()))
    figures = fidelity(vectors, targets, result, dictionary, spectra.readout, mu)
    before = (*spectra.history, *pool.history, *(resolved.history if resolved else ()))
    history = (
        *(stage for i, stage in enumerate(before) if stage not in before[:i]),  # a pool's own mean
        entry(
            "decompose",
            {"layers": chosen, **options.document()},
            {
                "spectra": spectra.digest,
                "pool": pool.digest,
                "mean": resolved.digest if resolved else None,
            },
        ),
    )
    return Codes(
        spectra.model,
        history,
        spectra.architecture,
        {"plain": spectra.plain, **options.document()},
        _layer_codes(spectra, chosen, shapes, result, figures, options),
        _used_concepts(pool, dictionary, result.indices),
        mu.float().numpy(),
        pool_mean,
        spectra.readout,
    )


def centre_pool(embeddings: Array) -> tuple[Tensor, Array]:
    """Normalise the rows, subtract their mean, normalise again (method: pool).

    Args:
        embeddings: (M, features).

    Returns:
        (M, features) float32 unit rows, and the mean row (features,) float32.
    """
    rows = torch.from_numpy(embeddings)
    total = torch.zeros(rows.shape[1], dtype=torch.float64)
    for part in rows.split(CHUNK):
        total += F.normalize(part.double(), dim=-1).sum(0)
    mean = total / len(rows)
    centred = torch.empty(rows.shape, dtype=torch.float32)
    for start in range(0, len(rows), CHUNK):
        unit = F.normalize(rows[start : start + CHUNK].double(), dim=-1)
        centred[start : start + CHUNK] = F.normalize(unit - mean, dim=-1).float()
    return centred, mean.float().numpy()


def _layers(spectra: Spectra, layers: str | int | Sequence[int] | None) -> list[int]:
    have = sorted(spectra.layers)
    name = spectra.model.name or "spectra"
    if layers is None:
        return have[-LAST:]
    count = int(spectra.architecture["layers"])
    chosen = select_layers(layers, count, name, hint="sithctl fold MODEL folds another")
    missing = [layer for layer in chosen if layer not in have]
    if missing:
        raise InputError(
            f"the spectra lack layer {missing[0]}",
            name,
            f"they hold {', '.join(map(str, have))}; fold and decompose the layers you want",
        )
    return chosen


Shape = tuple[int, int]


def _vectors(spectra: Spectra, layers: list[int], options: Options) -> tuple[Tensor, list[Shape]]:
    """Every vector to explain, (n, width) float64: layers, heads, vectors, poles; and each layer's
    (heads, rank)."""
    signs = torch.tensor([SIGN[pole] for pole in options.poles], dtype=torch.float64)
    parts, shapes = [], []
    for layer in layers:
        spectrum = spectra.layers[layer]
        kept = spectrum.right.shape[1] if options.rank is None else options.rank
        if not 1 <= kept <= spectrum.right.shape[1]:
            raise InputError(
                f"no rank {options.rank}",
                spectra.model.name,
                f"the spectra keep 1 to {spectrum.right.shape[1]} vectors a head",
            )
        side = spectrum.right if options.side == "right" else spectrum.left
        rows = torch.from_numpy(side[:, :kept]).double()
        # The minus pole is read out from −v: the mean and the biases do not change sign with it.
        parts.append((rows.unsqueeze(2) * signs.view(1, 1, -1, 1)).flatten(0, 2))
        shapes.append((rows.shape[0], kept))
    return torch.cat(parts), shapes


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
