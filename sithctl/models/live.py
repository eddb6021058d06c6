"""A loaded model with other weights put on in memory, whatever library runs it, and taken off again
to the bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from sithctl.checkpoints.adapted import Adapted
from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.models.encoders import Encoder
from sithctl.models.model import Model
from sithctl.models.spellings import same_tensor

CLASSIFIERS = ("head.", "head_dist.", "classifier.", "fc.")  # which no encoder runs


@contextmanager
def edited(encoder: Encoder, model: Model, changed: Mapping[str, Tensor]) -> Iterator[None]:
    """Run an encoder with changed tensors; on leaving, however that is, it has its own bits again.

    Args:
        encoder: of the same weights as ``model``.
        model: whose tensors these are.
        changed: new values by the checkpoint's names, as an edit gives them.

    Raises:
        InputError: the loaded model does not hold such a tensor as the checkpoint does, or its
            arithmetic cannot hold the new one. Nothing is changed then.
    """
    places = {name: _place(encoder, model.checkpoint, name) for name in changed}
    new = {name: _cast(changed[name], place, name) for name, place in places.items()}
    kept = {name: place.detach().clone() for name, place in places.items()}
    try:
        _put(places, new)
        yield
    finally:
        _put(places, kept)


def merge_adapter(encoder: Encoder, opened: Model) -> None:
    """Merge a model's adapter into an encoder that its library has loaded without it.

    Tensors that the encoder does not run (a classifier, another tower) are left out.
    """
    view = opened.checkpoint
    assert isinstance(view, Adapted)
    changes = {name: view.stored(name) for name in view.touched()}
    for name, tensor in changes.items():
        found = _find(encoder, view.base, name)
        if len(found) == 1:
            _put({name: found[0]}, {name: _cast(tensor, found[0], name)})
        elif found or not _is_beside(name, opened):
            raise _no_place(encoder, name)


def _is_beside(name: str, opened: Model) -> bool:
    """Whether a tensor is of no part that turns pictures into features."""
    return not name.startswith(opened.tower.prefix) or name.startswith(CLASSIFIERS)


def _place(encoder: Encoder, checkpoint: Checkpoint, name: str) -> Tensor:
    found = _find(encoder, checkpoint, name)
    if len(found) != 1:
        raise _no_place(encoder, name)
    return found[0]


def _no_place(encoder: Encoder, name: str) -> InputError:
    return InputError(
        f"the loaded model holds no tensor that is {name} of the checkpoint",
        encoder.location.name,
        "write the edited model with `sithctl edit -o DIR` and name that",
    )


def _find(encoder: Encoder, checkpoint: Checkpoint, name: str) -> list[Tensor]:
    """The loaded tensors that can be a stored one: of its name, and where none is, of any, but
    always of its very values."""
    held, stored = encoder.tensors(), checkpoint.stored(name)
    named = [held[n] for n in same_tensor(name, held) if _equal(held[n], stored)]
    return named or [tensor for tensor in held.values() if _equal(tensor, stored)]


def _equal(held: Tensor, stored: Tensor) -> bool:
    return held.shape == stored.shape and torch.equal(held.cpu(), stored.to(held.dtype))


def _cast(tensor: Tensor, place: Tensor, name: str) -> Tensor:
    new = tensor.to(place.device, place.dtype)
    if not bool(new.isfinite().all()):
        kind = str(place.dtype).removeprefix("torch.")
        raise InputError(f"{name} is more than {kind} can hold", None, "load it as float32")
    return new


def _put(places: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, place in places.items():
            place.copy_(values[name])
