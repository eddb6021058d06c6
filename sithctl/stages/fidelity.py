"""How much of a vector its explanation keeps, in two spaces that must not be confused (method:
fidelity)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.kinds import Readout
from sithctl.models.readout import is_linear_after_norm, to_residual
from sithctl.pursuit import SparseCodes
from sithctl.pursuit.dictionary import Held, Rows


def reconstruct(codes: SparseCodes, dictionary: Tensor | Rows) -> Tensor:
    """Γ̂ᵀc of every target: (n, features) float64."""
    rows = Held(dictionary) if isinstance(dictionary, Tensor) else dictionary
    result = torch.zeros(len(codes.indices), rows.shape[1], dtype=torch.float64)
    for step in range(codes.indices.shape[1]):
        used = (codes.indices[:, step] >= 0).nonzero().squeeze(1)
        concepts = rows.take(codes.indices[used, step]).double()
        result[used] += codes.coefficients[used, step, None].double() * concepts
    return result


def fidelity(
    vectors: Tensor,
    targets: Tensor,
    codes: SparseCodes,
    dictionary: Tensor | Rows,
    readout: Readout,
    mean: Tensor,
) -> Tensor:
    """The figures of every explanation.

    Args:
        vectors: (n, width) float64, what was read out: v, −v or u.
        targets: (n, features) float64, p̂.
        codes: of the n targets.
        dictionary: (M, features), unit rows.
        readout: the model's.
        mean: (features,) float64, μ.

    Returns:
        (n, 3) float64: ``feature``, the cosine of p̂ and Γ̂ᵀc; ``residual``, the paper's: the
        reconstruction back in the residual stream against the vector; and its ceiling, the same
        for p̂ itself. The last two are NaN where the read-out is more than a norm and a linear map:
        there is no way back from its features to the residual stream.
    """
    reconstruction = reconstruct(codes, dictionary)
    feature = F.cosine_similarity(targets, reconstruction, dim=-1)
    if not is_linear_after_norm(readout):
        unknown = torch.full_like(feature, torch.nan)
        return torch.stack([feature, unknown, unknown], dim=1)
    residual = _residual_cosine(vectors, reconstruction, readout, mean)
    empty = (codes.indices < 0).all(1)
    residual = torch.where(empty, 0.0, residual)
    ceiling = _residual_cosine(vectors, targets, readout, mean)
    return torch.stack([feature, residual, ceiling], dim=1)


def _residual_cosine(vectors: Tensor, features: Tensor, readout: Readout, mean: Tensor) -> Tensor:
    """norm(norm(x) + μ) through the projection's pseudo-inverse, against the vector."""
    back = F.normalize(F.normalize(features, dim=-1) + mean, dim=-1)
    return F.cosine_similarity(to_residual(back, readout), vectors, dim=-1)
