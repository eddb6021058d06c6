"""A checkpoint of which only names and shapes are looked at: what would be read, and whether it
fits, without reading it."""

from __future__ import annotations

import torch
from torch import Tensor

from sithctl.checkpoints.reader import Checkpoint


class Outline(Checkpoint):
    """The same names and shapes; every tensor reads as zeros that take no memory.

    Attributes:
        asked: the names read so far, in order.
    """

    def __init__(self, whole: Checkpoint) -> None:
        self.path = whole.path
        self.asked: dict[str, None] = {}
        self._whole = whole

    def __contains__(self, name: str) -> bool:
        return name in self._whole

    def names(self) -> list[str]:
        return self._whole.names()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._whole.shape(name)

    def read(self, name: str, rows: slice | None = None) -> Tensor:
        self.asked[name] = None
        zeros = torch.zeros((), dtype=torch.float64).expand(self.shape(name))
        return zeros if rows is None else zeros[rows]
