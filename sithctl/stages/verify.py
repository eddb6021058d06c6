"""Whether what was written is what was asked for: the checkpoint is read again and its spectrum
held against the one wanted, within what the type's rounding allows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sithctl.errors import CheckFailed
from sithctl.models.model import Model
from sithctl.stages.edit import Edit, Spectrum

SLACK = 1e-9  # of σ₁: float64's own rounding in two decompositions


@dataclass(frozen=True)
class Verified:
    """How near the written checkpoint is to the edit.

    Attributes:
        dtype: of the written tensors.
        error: the largest |σ found − |α σ|| over all heads touched, as a share of the head's σ₁.
        bound: the largest that rounding to the type could have made, likewise.
        rounding: the largest relative change of a head's writer by that rounding.
    """

    dtype: str
    error: float
    bound: float
    rounding: float


def verify(written: Model, edit: Edit) -> Verified:
    """Fold and decompose the layers of an edit again.

    Rounding moves a writer B by E with |E| ≤ u |B| in each entry, u half the type's epsilon, and
    that moves no singular value of A B by more than ‖A‖₂ ‖E‖_F (Weyl).

    Raises:
        CheckFailed: a singular value is further off than that.
    """
    error = bound = rounding = 0.0
    dtype = torch.float64
    for layer, wanted in edit.layers.items():
        weights = written.layer(layer)
        spectrum = Spectrum.of(written, weights)
        dtype = written.checkpoint.stored(written.output_names(layer).weight).dtype
        off = (spectrum.sigma - wanted.wanted).abs().amax(-1)
        allowed, relative = _allowed(spectrum, dtype)
        top = wanted.before.amax(-1).clamp_min(torch.finfo(torch.float64).tiny)
        if bool((off > allowed + SLACK * top).any()):
            head = int((off - allowed).argmax())
            raise CheckFailed(
                f"layer {layer}, head {head}: σ is {float(off[head]):.3g} off, and rounding to "
                f"{_name(dtype)} allows {float(allowed[head]):.3g}",
                written.checkpoint.path,
                "report this: the written model is not what was asked for",
            )
        error = max(error, float((off / top).max()))
        bound = max(bound, float((allowed / top).max()))
        rounding = max(rounding, relative)
    return Verified(_name(dtype), error, bound, rounding)


def _allowed(spectrum: Spectrum, dtype: torch.dtype) -> tuple[Tensor, float]:
    """(heads,) what rounding may move σ by, and the writers' relative rounding."""
    unit = torch.finfo(dtype).eps / 2
    reader, writer = spectrum.factors.reader, spectrum.factors.writer
    largest = torch.linalg.matrix_norm(reader, 2)
    # Centring takes a row's mean away, which is rounded too.
    moved = unit * torch.linalg.matrix_norm(writer) * 2
    return largest * moved, unit


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
