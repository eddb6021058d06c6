"""A pool as the pursuit takes it: unit rows around their mean."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import Array
from sithctl.pursuit.dictionary import NUMBERS, batches


class CentredPool:
    """A pool's rows, normalised, without their mean, and normalised again (method: pool).

    Made anew whenever they are asked for, alone or among others: the same bytes. So a pool may stay
    in its file.

    Args:
        embeddings: (M, features), in memory or stored.
        where: what to call them in an error.

    Attributes:
        shape: (M, features).
        mean: (features,) float64.

    Raises:
        InputError: NaN or infinite embeddings.
    """

    device = torch.device("cpu")

    def __init__(self, embeddings: Array, where: object = None) -> None:
        self._embeddings = embeddings
        self.shape: tuple[int, ...] = tuple(embeddings.shape)
        self.mean = unit_sum(embeddings, where) / len(embeddings)

    def block(self, rows: slice) -> Tensor:
        """(m, features) float32 unit rows that follow one another."""
        start, stop, _ = rows.indices(self.shape[0])
        centred = torch.empty(stop - start, self.shape[1])
        for part in _parts(centred):
            some = self._embeddings[start + part.start : start + part.stop]
            centred[part] = self._centred(some)
        return centred

    def take(self, indices: Tensor) -> Tensor:
        """(n, features) float32 unit rows, any."""
        centred = torch.empty(len(indices), self.shape[1])
        for part in _parts(centred):
            centred[part] = self._centred(self._embeddings[indices[part].cpu().numpy()])
        return centred

    def _centred(self, rows: Array) -> Tensor:
        return F.normalize(_unit(rows) - self.mean, dim=-1).float()


def centre_pool(embeddings: Array, where: object = None) -> tuple[Tensor, Array]:
    """All of a centred pool at once.

    Args:
        embeddings: (M, features).
        where: what to call them in an error.

    Returns:
        (M, features) float32 unit rows, and the mean row (features,) float32.
    """
    pool = CentredPool(embeddings, where)
    return pool.block(slice(None)), pool.mean.float().numpy()


def unit_sum(embeddings: Array, where: object = None) -> Tensor:
    """The sum of the normalised rows, (features,) float64.

    Raises:
        InputError: NaN or infinite embeddings.
    """
    total = torch.zeros(embeddings.shape[1], dtype=torch.float64)
    for part in _parts(embeddings):
        total += _unit(embeddings[part]).sum(0)
    if not bool(total.isfinite().all()):  # which one such row is enough for
        raise InputError("NaN or infinite embeddings in the pool", where, "encode it again")
    return total


def _parts(rows: Array | Tensor) -> list[slice]:
    return list(batches(len(rows), max(1, NUMBERS // max(1, rows.shape[1]))))


def _unit(rows: Array) -> Tensor:
    return F.normalize(torch.from_numpy(np.asarray(rows)).double(), dim=-1)
