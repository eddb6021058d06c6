"""From residual vectors to points of the feature space, and back as far as that goes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import Readout


def read_out(vectors: Tensor, readout: Readout) -> Tensor:
    """Features of residual vectors: final norm, then projection (method: p before norms).

    LayerNorm's epsilon matters here: a unit vector's variance is 1/width, not near 1.

    Args:
        vectors: (..., width).
        readout: the model's steps.

    Returns:
        (..., features), in the vectors' dtype.
    """
    out = vectors
    for step in readout.steps:
        tensors = {n: torch.as_tensor(t).to(out) for n, t in step.tensors.items()}
        if step.op == "layer-norm":
            out = F.layer_norm(
                out, out.shape[-1:], tensors["weight"], tensors["bias"], step.epsilon or 0.0
            )
        elif step.op == "linear":
            out = out @ tensors["weight"]
            out = out + tensors["bias"] if "bias" in tensors else out
        else:
            raise InputError(f"unknown read-out step {step.op}", None, "upgrade sithctl")
    return out


def centred_features(vectors: Tensor, readout: Readout, mean: Tensor) -> Tensor:
    """Targets of the pursuit: p̂ = norm(norm(read-out) − μ).

    Args:
        vectors: (..., width), unit rows.
        readout: the model's steps.
        mean: (features,), μ, the mean of unit-norm image features.
    """
    features = F.normalize(read_out(vectors, readout), dim=-1)
    return F.normalize(features - mean.to(features), dim=-1)


def is_linear_after_norm(readout: Readout) -> bool:
    """Whether the read-out is one norm and at most one linear map, so that it can be undone."""
    return [step.op for step in readout.steps] in (["layer-norm"], ["layer-norm", "linear"])


def to_residual(features: Tensor, readout: Readout) -> Tensor:
    """Residual directions of features: through the projection's pseudo-inverse (identity where
    there is no projection).

    Args:
        features: (..., features).

    Returns:
        (..., width).
    """
    for step in reversed(readout.steps):
        if step.op == "linear":
            weight = torch.as_tensor(step.tensors["weight"]).to(features)
            features = features @ torch.linalg.pinv(weight)
    return features
