"""Whether explanations come again when half of the pool is taken away at random.

A concept that was dropped cannot be chosen again, and what takes its place was never meant by the
explanation: compared as they are, even a perfectly stable explanation would share about half of its
concepts with the new one. So both are cut to the concepts that the explanation has and the half
keeps, their coefficients again shares of 1. Then 1 means: all that could come again came, in the
same proportions, and 0: nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from sithctl.evaluation.explained import Explained, mean_along, shares
from sithctl.evaluation.results import Progress
from sithctl.kinds import Array, Pool
from sithctl.pursuit import SparseCodes
from sithctl.stages.centring import centre_pool
from sithctl.stages.decompose import code
from sithctl.stages.options import Options


def stability(
    rows: Explained,
    targets: Tensor,
    pool: Pool,
    options: Options,
    *,
    repeats: int,
    seed: int,
    device: str,
    steps: Progress,
) -> tuple[Array, Array]:
    """The mean over random halves.

    Args:
        rows: n explanations by the whole pool.
        targets: (n, features), what they explain.
        pool: that they were made with.
        options: that they were made with.
        repeats: halves; two of them in a row are each other's rest, so that of two every concept
            is kept once.
        seed: of the halves.
        device: where the pursuit runs.
        steps: told of each half.

    Returns:
        (n,) Jaccard of the kept concepts, and (n,) overlap (Σ min) of their coefficients; NaN where
        no half kept any.
    """
    jaccard, overlap = [], []
    for kept in halves(len(pool.concepts), repeats, seed):
        dictionary, _ = centre_pool(pool.embeddings[kept])
        found = code(targets, dictionary, options, device=device)
        again = _in_whole_pool(found, kept)
        alike = kept_agreement(rows.indices, rows.coefficients, again, found, kept)
        jaccard.append(alike[0])
        overlap.append(alike[1])
        steps.step()
    return mean_along(np.array(jaccard)), mean_along(np.array(overlap))


def halves(count: int, repeats: int, seed: int) -> Iterator[Array]:
    """Ascending indices of ``repeats`` random halves; every second one is the rest of the first."""
    rng = np.random.default_rng(seed)
    for repeat in range(repeats):
        if repeat % 2 == 0:
            order = rng.permutation(count)
            yield np.sort(order[: count // 2])
        else:
            yield np.sort(order[count // 2 :])


def _in_whole_pool(found: SparseCodes, kept: Array) -> Array:
    """(n, K) indices into the whole pool of codes by a part of it; −1 where unused."""
    indices = found.indices.numpy()
    return np.where(indices >= 0, kept[np.maximum(indices, 0)], -1)


def kept_agreement(
    indices: Array, coefficients: Array, again: Array, found: SparseCodes, kept: Array
) -> tuple[Array, Array]:
    """Jaccard and overlap of explanations with those made again, over the concepts that the first
    have and the half keeps: (n,) each, NaN where it keeps none."""
    possible = np.isin(indices, kept) & (indices >= 0)
    same = (indices[:, :, None] == again[:, None, :]) & possible[:, :, None]
    count = possible.sum(1)
    nothing = np.full(len(indices), np.nan)
    jaccard = np.divide(same.any(2).sum(1), count, out=nothing.copy(), where=count > 0)
    before = shares(np.where(possible, coefficients, 0.0))
    weights = np.maximum(found.coefficients.numpy().astype(np.float64), 0.0)
    after = shares((same * weights[:, None, :]).sum(2))
    overlap = np.where(count > 0, np.minimum(before, after).sum(1), np.nan)
    return jaccard, overlap
