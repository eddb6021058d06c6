"""What two codes of the same vectors have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sithctl.errors import InputError
from sithctl.kinds import Array, Codes

ROUNDING = 1e-3  # of singular values computed twice

Place = tuple[int, int, int, str]  # layer, head, singular vector, sign of the pole


def check_alike(codes: Codes, other: Codes) -> None:
    """Refuse codes of other weights or sides, or without a layer and pole in common."""
    where = f"codes of {codes.model.name} and of {other.model.name}"
    todo = "give two codes of the same vectors"
    for name in ("side", "plain"):
        ours, theirs = codes.parameters[name], other.parameters[name]
        if ours != theirs:
            raise InputError(f"{name} is {ours} in one and {theirs} in the other", where, todo)
    if codes.model.space != other.model.space:
        raise InputError("the codes are of different models", where, todo)
    common = sorted(codes.layers.keys() & other.layers.keys())
    if not common:
        raise InputError("no layer in common", where, "decompose the same layers")
    if not set(codes.poles) & set(other.poles):
        raise InputError("no pole in common", where, "decompose the same poles")
    for layer in common:
        ours, theirs = codes.model.layers.get(layer), other.model.layers.get(layer)
        if ours != theirs or not _same_sigma(codes, other, layer):
            raise InputError(f"layer {layer} has other weights in the two", where, todo)


def _same_sigma(codes: Codes, other: Codes, layer: int) -> bool:
    """A difference of two models has no digests: its singular values tell it from others."""
    first, second = codes.layers[layer].singular_values, other.layers[layer].singular_values
    rank = min(first.shape[1], second.shape[1])
    if len(first) != len(second):
        return False
    close = np.isclose(first[:, :rank], second[:, :rank], rtol=ROUNDING, atol=1e-6)
    return bool(close.all())


def pool_of(codes: Codes) -> str | None:
    """The digest of the pool that codes were made with."""
    made = [stage for stage in codes.history if stage["stage"] == "decompose"]
    digest: str | None = made[-1]["inputs"].get("pool") if made else None
    return digest


@dataclass(frozen=True)
class Shared:
    """What both codes explain.

    Attributes:
        places: (layer, head, sv, pole sign) of n explanations; those of one vector side by side.
        sigma: (n,) singular values.
    """

    layers: list[int]
    poles: list[str]
    places: list[Place]
    sigma: Array

    @classmethod
    def of(cls, codes: Codes, other: Codes) -> Shared:
        layers = sorted(codes.layers.keys() & other.layers.keys())
        poles = [pole for pole in codes.poles if pole in other.poles]
        places, sigma = [], []
        for layer in layers:
            values = codes.layers[layer].singular_values
            rank = min(values.shape[1], other.layers[layer].singular_values.shape[1])
            for head in range(len(values)):
                for sv in range(rank):
                    places += [(layer, head, sv, pole) for pole in poles]
                    sigma += [float(values[head, sv])] * len(poles)
        return cls(layers, poles, places, np.array(sigma))

    def permutations(self, count: int, seed: int) -> list[Array]:
        """(n,) orders that move whole vectors: + stays +, since all of one sign share a part."""
        rng, poles = np.random.default_rng(seed), len(self.poles)
        moved = [rng.permutation(len(self.places) // poles) for _ in range(count)]
        return [(m[:, None] * poles + np.arange(poles)).ravel() for m in moved]
