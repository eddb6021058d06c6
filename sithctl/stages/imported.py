"""Codes of explanations that were made elsewhere, with fidelity by our own figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch

from sithctl.errors import InputError
from sithctl.kinds import Array, Codes, Mean, Pool, Spectra
from sithctl.kinds.base import digest_of
from sithctl.pursuit import SparseCodes
from sithctl.stages.answer import answer
from sithctl.stages.options import Options
from sithctl.stages.task import pose

Explained = tuple[Array, Array]


def import_codes(
    spectra: Spectra,
    pool: Pool,
    found: Mapping[int, Explained],
    mean: Mean | Literal["none"] | None = None,
    *,
    side: str = "right",
    pole: str = "+",
    degenerate_gap: float = 0.01,
) -> Codes:
    """Take explanations of one sign of singular vectors as they are.

    Which sign of a vector is + is the reference's own rule too: the largest entry of its left
    vector is positive.

    Args:
        spectra: of the same model, folded as it was there.
        pool: the dictionary that the indices count in, in its order.
        found: for every layer scores and indices, (heads, rank, K) or (heads · rank, K). A score of
            0 means that the place is not used.
        mean: as for ``decompose``.
        side: ``right`` or ``left``.
        pole: ``+`` or ``-``.
        degenerate_gap: as for ``decompose``.

    Returns:
        Codes of one pole, in descending order of coefficient, their method ``imported``.

    Raises:
        InputError: shapes that do not fit the spectra or each other, indices that are not in the
            pool, or what ``decompose`` refuses.
    """
    if not found:
        raise InputError("nothing to import", spectra.model.name, "give one layer at least")
    shaped = {layer: _shaped(spectra, layer, *found[layer]) for layer in sorted(found)}
    rank, sparsity = _common_shape(shaped)
    for layer, (scores, indices) in shaped.items():
        _check_indices(layer, scores, indices, pool)
    options = Options(
        sparsity=sparsity, rank=rank, side=side, pole=pole, degenerate_gap=degenerate_gap
    )
    task = pose(spectra, pool, mean, list(shaped), options)
    scores = np.concatenate([s.reshape(-1, sparsity) for s, _ in shaped.values()])
    indices = np.concatenate([i.reshape(-1, sparsity) for _, i in shaped.values()])
    content = digest_of({"layers": list(shaped)}, {"scores": scores, "indices": indices})
    parameters = {**options.document(), "method": "imported", "coherence": None}
    return answer(task, _sorted(scores, indices), parameters, {"imported": content})


def _shaped(spectra: Spectra, layer: int, scores: Array, indices: Array) -> Explained:
    """Scores and indices as (heads, rank, K)."""
    if layer not in spectra.layers:
        raise InputError(
            f"the spectra lack layer {layer}",
            spectra.model.name or "spectra",
            f"they hold {', '.join(map(str, sorted(spectra.layers)))}",
        )
    heads, most = spectra.layers[layer].right.shape[:2]
    where = f"what is imported for layer {layer}"
    if scores.shape != indices.shape or scores.ndim not in (2, 3) or scores.size == 0:
        raise InputError(f"scores {scores.shape}, indices {indices.shape}", where)
    rows = scores.shape[0] if scores.ndim == 2 else scores.shape[0] * scores.shape[1]
    if rows % heads or (scores.ndim == 3 and scores.shape[0] != heads) or rows // heads > most:
        raise InputError(
            f"shape {scores.shape} where the spectra have {heads} heads of rank {most}",
            where,
            "expected (heads, rank, K) or (heads · rank, K) of this model",
        )
    shape = (heads, rows // heads, scores.shape[-1])
    return scores.reshape(shape).astype(np.float32), indices.reshape(shape).astype(np.int64)


def _common_shape(shaped: Mapping[int, Explained]) -> tuple[int, int]:
    shapes = {scores.shape[1:] for scores, _ in shaped.values()}
    if len(shapes) > 1:
        told = " and ".join(f"rank {rank}, K {k}" for rank, k in sorted(shapes))
        raise InputError(f"layers of {told}", None, "import them one by one")
    rank, sparsity = shapes.pop()
    return rank, sparsity


def _check_indices(layer: int, scores: Array, indices: Array, pool: Pool) -> None:
    count = len(pool.concepts)
    # Beyond the pool even an unused place tells of another dictionary.
    outside = indices[((indices < 0) & (scores > 0)) | (indices >= count)]
    if outside.size:
        raise InputError(
            f"index {outside[0]} in a pool of {count} concepts",
            f"what is imported for layer {layer}",
            "give the dictionary that it was made with as --pool, nothing left out",
        )


def _sorted(scores: Array, indices: Array) -> SparseCodes:
    """By descending score, unused places last."""
    order = np.argsort(-scores, axis=-1, kind="stable")
    scores = np.take_along_axis(scores, order, -1)
    indices = np.where(scores > 0, np.take_along_axis(indices, order, -1), -1)
    nothing = torch.full((len(scores),), torch.nan)  # nobody asks for the pursuit's own figure
    return SparseCodes(torch.from_numpy(indices), torch.from_numpy(scores), nothing)
