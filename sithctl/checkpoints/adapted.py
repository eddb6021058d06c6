"""A checkpoint seen through an adapter: every tensor reads as it would be with the adapter merged,
and nothing is written or held twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError


@dataclass(frozen=True)
class LowRank:
    """What is added to a tensor, with all but its first axis as one: ``left @ right``.

    Attributes:
        left: (rows, rank) float64.
        right: (rank, columns) float64.
    """

    left: Tensor
    right: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        return self.left.shape[0], self.right.shape[1]


class Adapted(Checkpoint):
    """The same names; tensors read as base + left @ right, or as what stands in their place.

    Attributes:
        base: the checkpoint that the adapter was made for.
        added: by name.
        replaced: by name, whole tensors: biases, and modules that were trained in full; may have
            names that the base lacks (a new classifier).
    """

    def __init__(
        self, base: Checkpoint, added: Mapping[str, LowRank], replaced: Mapping[str, Tensor]
    ) -> None:
        self.path = base.path
        self.base, self.added, self.replaced = base, added, replaced

    def __contains__(self, name: str) -> bool:
        return name in self.replaced or name in self.base

    def names(self) -> list[str]:
        return sorted({*self.base.names(), *self.replaced})

    def shape(self, name: str) -> tuple[int, ...]:
        own = self.replaced.get(name)
        return self.base.shape(name) if own is None else tuple(own.shape)

    def dtype(self, name: str) -> str:
        if name in self.base or name not in self.replaced:
            return self.base.dtype(name)
        return str(self.replaced[name].dtype).removeprefix("torch.")

    def stored(self, name: str) -> Tensor:
        """The merged tensor in the base's own type."""
        if name not in self.base and name in self.replaced:
            return self.replaced[name]
        stored = self.base.stored(name)
        return self.read(name).to(stored.dtype) if self._touches(name) else stored

    def files(self) -> dict[str, Path]:
        return self.base.files()

    def read(self, name: str, rows: slice | None = None) -> Tensor:
        part = rows or slice(None)
        own = self.replaced.get(name)
        tensor = self.base.read(name, rows) if own is None else own[part].double()
        low_rank = self.added.get(name)
        if low_rank is None:
            return tensor
        return tensor + (low_rank.left[part] @ low_rank.right).reshape(tensor.shape)

    def merged(self) -> dict[str, Tensor]:
        """The tensors that the adapter makes others than the base's, in the base's types.

        Raises:
            InputError: the base has no place for one of them.
        """
        for name in self.replaced:
            if name not in self.base:
                raise InputError(
                    f"the adapter brings a tensor that its base lacks ({name})",
                    self.path,
                    "merge it with peft's merge_and_unload, save that, and give it instead",
                )
        return {name: self.stored(name) for name in self.touched()}

    def touched(self) -> list[str]:
        """The base's tensors that the adapter changes."""
        return [name for name in self.base.names() if self._touches(name)]

    def _touches(self, name: str) -> bool:
        return name in self.added or name in self.replaced
