"""From residual vectors to points of the feature space, and back as far as that goes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import Readout, Step

NORMS = ("layer-norm", "rms-norm")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu_fast": partial(F.gelu, approximate="tanh"),
    "gelu_python": F.gelu,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": F.relu,
    "silu": F.silu,
    "swish": F.silu,
}


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
        if step.op in NORMS:
            out = _norm(out, tensors, step)
        elif step.op == "linear":
            out = _linear(out, tensors)
        elif step.op in {"mlp", "residual-mlp"}:
            out = _mlp(out, tensors, step)
        else:
            raise InputError(f"unknown read-out step {step.op}", None, "upgrade sithctl")
    return out


def _norm(x: Tensor, tensors: dict[str, Tensor], step: Step, prefix: str = "") -> Tensor:
    weight, bias = tensors[f"{prefix}weight"], tensors.get(f"{prefix}bias")
    if step.op == "rms-norm":
        return F.rms_norm(x, x.shape[-1:], weight, step.epsilon)
    return F.layer_norm(x, x.shape[-1:], weight, bias, step.epsilon or 0.0)


def _linear(x: Tensor, tensors: dict[str, Tensor], prefix: str = "") -> Tensor:
    out = x @ tensors[f"{prefix}weight"]
    return out + tensors[f"{prefix}bias"] if f"{prefix}bias" in tensors else out


def _mlp(x: Tensor, tensors: dict[str, Tensor], step: Step) -> Tensor:
    act = ACTIVATIONS.get(step.activation or "")
    if act is None:
        raise InputError(
            f"not supported: activation {step.activation} in the read-out",
            None,
            f"one of {', '.join(ACTIVATIONS)}",
        )
    inner = _norm(x, tensors, step, "norm.") if "norm.weight" in tensors else x
    out = _linear(act(_linear(inner, tensors, "first.")), tensors, "second.")
    return x + out if step.op == "residual-mlp" else out


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
    """Whether the read-out is one norm and at most one linear map, so that it can be undone as far
    as that goes."""
    first, *rest = (step.op for step in readout.steps)
    return first in NORMS and rest in ([], ["linear"])


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
