"""Whose codes these are: edits and causal checks need those of the very weights in hand."""

from __future__ import annotations

from sithctl.errors import InputError
from sithctl.kinds import Codes
from sithctl.models.model import Model
from sithctl.stages.fold import layer_digest


def check_codes(codes: Codes, model: Model) -> Codes:
    """Refuse codes of other weights than the model's, or of plain spectra."""
    if codes.parameters.get("plain"):
        raise InputError(
            "codes of plain spectra cannot be edited by", codes.model.name, "fold without --plain"
        )
    for layer in codes.layers:
        known = codes.model.layers.get(layer)
        if layer >= model.layers or known != layer_digest(model.layer(layer), model.heads):
            raise InputError(
                f"the codes are of another model ({codes.model.name}, layer {layer})",
                model.name,
                "explain the model that is to be edited",
            )
    return codes
