"""Edits as deltas: taken of a model, put on, and taken off to the byte."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import Array, Delta, entry
from sithctl.kinds.base import digest_of
from sithctl.models.model import Model
from sithctl.stages.edit import Edit


def delta_of(edit: Edit, parameters: dict[str, Any] | None = None) -> Delta:
    """An edit's changed tensors as an artefact.

    Args:
        edit: from ``edit``.
        parameters: what else history should tell of how it came about.
    """
    rows = [asdict(change) for change in edit.plan.changes]
    weights = digest_of(dict(sorted((str(k), v) for k, v in edit.model.layers.items())), {})
    made = entry("edit", {**(parameters or {}), "changes": len(rows)}, {"model": weights})
    return Delta(
        edit.model,
        (made,),
        rows,
        {name: str(t.dtype).removeprefix("torch.") for name, t in edit.changed.items()},
        {name: _array(t) for name, t in edit.changed.items()},
        {name: _array(t) for name, t in edit.replaced.items()},
    )


def applied(model: Model, delta: Delta) -> dict[str, Tensor]:
    """The tensors of ``model`` with a delta put on.

    Raises:
        InputError: the model's tensors are not those that the delta was taken of.
    """
    return _exchanged(model, delta, delta.replaced, delta.changed, "put on")


def undone(model: Model, delta: Delta) -> dict[str, Tensor]:
    """The tensors of ``model`` with a delta taken off: those of the original, to the byte.

    Raises:
        InputError: the delta is not on.
    """
    return _exchanged(model, delta, delta.changed, delta.replaced, "taken off")


def _exchanged(model: Model, delta: Delta, found: Any, wanted: Any, done: str) -> dict[str, Tensor]:
    for name, array in found.items():
        if name not in model.checkpoint or not _equal(
            model.checkpoint.stored(name), _tensor(array, delta.dtypes[name])
        ):
            raise InputError(
                f"the delta cannot be {done}: {name} is not what it should find",
                model.name,
                f"it was made for {delta.model.name}; --apply takes the unedited model, --undo the "
                "edited",
            )
    return {name: _tensor(array, delta.dtypes[name]) for name, array in wanted.items()}


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def _array(tensor: Tensor) -> Array:
    solid = tensor.detach().cpu().contiguous()
    bits = solid.view(torch.uint16) if solid.dtype == torch.bfloat16 else solid
    return np.ascontiguousarray(bits.numpy())


def _tensor(array: Array, dtype: str) -> Tensor:
    tensor = torch.from_numpy(np.array(array))
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor
