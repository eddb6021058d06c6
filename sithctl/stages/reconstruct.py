"""The paper's sufficiency test: each right singular vector gives way to what its concepts say of it
(SITH, Sec. 4.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import Codes, LayerCodes, Plan
from sithctl.models.model import Model
from sithctl.models.readout import is_linear_after_norm, to_residual
from sithctl.stages.edit import Edit, LayerEdit, Spectrum, finished, layer_edit, rewrite


def reconstruct(model: Model, codes: Codes) -> Edit:
    """Put the concept reconstruction in each explained right vector's place.

    v' is norm(norm(Γ̂ᵀc) + μ) through the projection's pseudo-inverse, of unit norm, from the plus
    pole. New vectors are not orthonormal, so singular values change; what is checked after writing
    are the value-output matrices themselves. A vector without a concept becomes 0.

    Args:
        model: that the codes are of.
        codes: of right vectors with their plus pole.

    Raises:
        InputError: codes of left vectors or without the plus pole, or a read-out that cannot be
            undone.
    """
    if codes.parameters["side"] != "right" or "+" not in codes.poles:
        raise InputError(
            "codes of left vectors, or without the plus pole",
            codes.model.name,
            "decompose with --side right and --pole both",
        )
    if not is_linear_after_norm(codes.readout):
        raise InputError(
            "not supported: a read-out that is more than a norm and a linear map cannot be undone",
            codes.model.name,
            "reconstruct another model",
        )
    changed: dict[str, Tensor] = {}
    layers: dict[int, LayerEdit] = {}
    for layer, found in codes.layers.items():
        weights = model.layer(layer)
        spectrum = Spectrum.of(model, weights)
        new = spectrum.right.clone()
        said = _vectors(codes, found)
        if model.centred:  # no LayerNorm sees their mean
            said = said - said.mean(-1, keepdim=True)
        new[:, : said.shape[1]] = said
        layers[layer] = layer_edit(spectrum, new)
        changed |= rewrite(model, layer, weights, spectrum, new)
    return finished(model, Plan(()), changed, layers)


def _vectors(codes: Codes, found: LayerCodes) -> Tensor:
    """(heads, rank, width): v' of each vector."""
    place = torch.full((int(codes.concepts.indices.max(initial=0)) + 1,), 0)
    place[torch.from_numpy(codes.concepts.indices)] = torch.arange(len(codes.concepts.labels))
    pole = codes.poles.index("+")
    indices = torch.from_numpy(found.indices[:, :, pole])
    weights = torch.from_numpy(found.coefficients[:, :, pole]).double()
    weights = torch.where(indices >= 0, weights, 0.0)
    rows = torch.from_numpy(codes.concepts.vectors).double()[place[indices.clamp_min(0)]]
    said = (weights.unsqueeze(-1) * rows).sum(-2)
    back = F.normalize(F.normalize(said, dim=-1) + torch.from_numpy(codes.mean).double(), dim=-1)
    vectors = F.normalize(to_residual(back, codes.readout), dim=-1)
    empty = (found.indices[:, :, pole] < 0).all(-1)
    vectors[torch.from_numpy(empty)] = 0.0
    return vectors
