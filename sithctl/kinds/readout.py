"""The read-out: the model's own way from the residual stream to its feature space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from sithctl.kinds.base import Array, Column, digest_of, numbers


@dataclass(frozen=True)
class Step:
    """One step from the residual stream to the feature space.

    ``layer-norm`` has ``weight`` (width,), ``bias`` (width,) and an epsilon; ``linear`` has
    ``weight`` (in, out), acting on row vectors, and may have ``bias`` (out,).
    """

    op: str
    tensors: Mapping[str, Array]
    epsilon: float | None = None

    def document(self) -> dict[str, Any]:
        return {"op": self.op} | ({} if self.epsilon is None else {"epsilon": self.epsilon})


@dataclass(frozen=True, eq=False)
class Readout:
    """The model's own way from a residual vector to a feature: its final norm and projection."""

    steps: tuple[Step, ...]

    @cached_property
    def space(self) -> str:
        """Digest that tells one feature space from another."""
        return digest_of(self.document(), self.arrays())

    @property
    def features(self) -> int:
        """Dimension of the feature space."""
        last = self.steps[-1]
        return int(last.tensors["weight"].shape[-1])

    def document(self) -> list[dict[str, Any]]:
        return [step.document() for step in self.steps]

    def arrays(self, separator: str = ".") -> dict[str, Column]:
        return {
            f"readout{separator}{i}{separator}{name}": np.asarray(tensor)
            for i, step in enumerate(self.steps)
            for name, tensor in step.tensors.items()
        }

    @classmethod
    def parse(
        cls, document: Sequence[Mapping[str, Any]], arrays: Mapping[str, Column], separator: str
    ) -> Self:
        steps = []
        for i, step in enumerate(document):
            prefix = f"readout{separator}{i}{separator}"
            tensors = {
                name.removeprefix(prefix): numbers(column)
                for name, column in arrays.items()
                if name.startswith(prefix)
            }
            steps.append(Step(step["op"], tensors, step.get("epsilon")))
        return cls(tuple(steps))
