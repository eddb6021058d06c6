"""Checkpoints without a config: the family that accounts for most of their tensors, and what is
assumed of the rest said aloud."""

from __future__ import annotations

import warnings

from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.models.families import FAMILIES
from sithctl.models.finding import search_layout
from sithctl.models.location import Location
from sithctl.models.model import Model
from sithctl.models.sizes import from_tensors
from sithctl.models.structure import refuse
from sithctl.models.weights import Tower


def open_bare(location: Location, checkpoint: Checkpoint, tower: str, heads: int | None) -> Model:
    """A checkpoint without a config: of the families whose names are found in it, the one that
    accounts for most of its tensors."""
    found: list[tuple[int, Model]] = []
    refused: InputError | None = None
    for family in FAMILIES:
        place = (
            search_layout(family, checkpoint, family.prefixes) if family.tower == tower else None
        )
        if place is None:
            continue
        layout, prefix = place
        try:
            refuse(family, checkpoint)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sizes = from_tensors(family, layout, prefix, checkpoint, heads)
            model = Model(location, family, Tower(checkpoint, prefix, layout, sizes))
            found.append((len(model.tensors([0])), model))
        except InputError as error:
            refused = refused or error
            continue
    if not found:
        raise refused or InputError(
            "no config beside it, and tensor names of no family in the table",
            location.weights,
            "give the model's whole directory, or see `sithctl models`",
        )
    best = max(found, key=lambda pair: pair[0])[1]  # the first of equals
    from_tensors(best.family, best.tower.layout, best.tower.prefix, checkpoint, heads)  # warns
    return best
