"""Whether what was written is what was asked for: the checkpoint is read again and its spectrum
held against the one wanted, within what the type's rounding allows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sithctl.errors import CheckFailed
from sithctl.models.model import LayerWeights, Model
from sithctl.stages.edit import Edit, LayerEdit, Spectrum

SLACK = 1e-9  # of σ₁: float64's own rounding in two decompositions


@dataclass(frozen=True)
class Verified:
    """How near the written checkpoint is to the edit.

    Attributes:
        dtype: of the written tensors.
        sigma: the largest |σ found − σ wanted| over the layers' heads, as a share of the head's
            largest σ before or after the edit.
        matrix: the largest ‖A B' found − A B' wanted‖, likewise.
        bound: the largest that rounding to the type could have made of either.
    """

    dtype: str
    sigma: float
    matrix: float
    bound: float


def verify(written: Model, edit: Edit) -> Verified:
    """Fold and decompose the layers of an edit again.

    Rounding moves a writer B' by E with |E| ≤ u |B'| in each entry, or a subnormal's step, u half
    the type's epsilon and B' not yet centred. That moves A B' by ‖A‖₂ ‖E‖ at most, and no singular
    value by more (Weyl).

    Raises:
        CheckFailed: a value-output matrix, or a singular value, is further off than that.
    """
    worst = Verified("", 0.0, 0.0, 0.0)
    for layer, wanted in edit.layers.items():
        one = _layer(written, layer, wanted)
        worst = Verified(
            one.dtype,
            max(worst.sigma, one.sigma),
            max(worst.matrix, one.matrix),
            max(worst.bound, one.bound),
        )
    return worst


def _layer(written: Model, layer: int, wanted: LayerEdit) -> Verified:
    weights = written.layer(layer)
    spectrum = Spectrum.of(written, weights)
    dtype = written.checkpoint.stored(written.output_names(layer).weight).dtype
    reader, writer = spectrum.factors.reader, spectrum.factors.writer
    tiny = torch.finfo(torch.float64).tiny
    top = torch.maximum(wanted.before, wanted.wanted).amax(-1).clamp_min(tiny)
    off = (spectrum.sigma - wanted.wanted).abs().amax(-1) / top
    # ‖A X‖ = ‖R X‖ with A = Q R: never width × width.
    core = torch.linalg.qr(reader).R
    moved = torch.linalg.matrix_norm(core @ (writer - wanted.writer)) / top
    allowed = torch.linalg.matrix_norm(reader, 2) * _rounding(weights, dtype, len(top)) / top
    worse = torch.maximum(off, moved) - allowed
    name = str(dtype).removeprefix("torch.")
    if bool((worse > SLACK).any()):
        head = int(worse.argmax())
        raise CheckFailed(
            f"layer {layer}, head {head}: the value-output matrix is {float(moved[head]):.3g} off, "
            f"and rounding to {name} allows {float(allowed[head]):.3g}",
            written.checkpoint.path,
            "report this: the written model is not what was asked for",
        )
    return Verified(name, float(off.max()), float(moved.max()), float(allowed.max()))


def _rounding(weights: LayerWeights, dtype: torch.dtype, heads: int) -> Tensor:
    """(heads,): how far a head's stored writer may lie from what was rounded, with LayerScale."""
    kind, stored = torch.finfo(dtype), weights.output_weight
    each = kind.eps * stored.abs() + kind.tiny * kind.eps
    if weights.layer_scale is not None:
        each = each * weights.layer_scale.abs().unsqueeze(1)
    return torch.linalg.matrix_norm(each.T.reshape(heads, -1, each.shape[0]))
