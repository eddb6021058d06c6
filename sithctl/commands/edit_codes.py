"""The explanations that an edit is chosen by: of this very model, given or made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sithctl.errors import InputError

if TYPE_CHECKING:
    from sithctl.kinds import Codes
    from sithctl.models.model import Model


def codes_for(given: dict[str, Any], model: Model) -> Codes:
    """The codes named, or those of the whole chain; of this very model."""
    from sithctl.artifacts import load
    from sithctl.kinds import Codes
    from sithctl.stages.ownership import check_codes

    if given["codes"] is not None:
        codes = _of_layers(load(given["codes"], Codes), given["layers"])
    else:
        codes = chain_codes(given, given["layers"])
    return check_codes(codes, model)


def _of_layers(codes: Codes, layers: str | None) -> Codes:
    """Codes of some layers alone; concepts that only others use are left out, too."""
    if layers is None:
        return codes
    from dataclasses import replace

    from sithctl.stages.joining import joined
    from sithctl.stages.layers import select_layers

    where = codes.model.name or "codes"
    chosen = select_layers(layers, int(codes.architecture["layers"]), where)
    lacking = [layer for layer in chosen if layer not in codes.layers]
    if lacking:
        have = ", ".join(map(str, sorted(codes.layers)))
        raise InputError(f"the codes lack layer {lacking[0]}", where, f"they hold {have}")
    return joined([replace(codes, layers={n: codes.layers[n] for n in chosen})])


def chain_codes(given: dict[str, Any], layers: str | None) -> Codes:
    """Explanations of the model that is to be edited, from the cache where they can be."""
    from sithctl.commands.chain import Chain
    from sithctl.stages.joining import joined
    from sithctl.stages.options import Options

    chain = Chain(given["model"], given["pool"], given["mean"], Options(), given["tower"])
    return joined(chain.codes(layers))
