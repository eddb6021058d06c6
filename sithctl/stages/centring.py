"""A pool as the pursuit takes it: unit rows around their mean."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.kinds import Array

CHUNK = 1 << 16  # pool rows normalised at a time


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
