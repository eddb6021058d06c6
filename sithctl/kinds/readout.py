"""The read-out: the model's own way from the residual stream to its feature space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from sithctl.kinds.base import Array, Column, digest_of, numbers
from sithctl.kinds.shown import Brief


@dataclass(frozen=True, repr=False)
class Step(Brief):
    """One step from the residual stream to the feature space.

    ``layer-norm`` has ``weight`` (width,), may have ``bias`` (width,), and has an epsilon;
    ``rms-norm`` the same without a bias; ``linear`` has ``weight`` (in, out), acting on row
    vectors, and may have ``bias`` (out,); ``mlp`` has two linear maps, ``first.…`` and
    ``second.…``, and an activation between them; ``residual-mlp`` adds what comes out to what went
    in, and may have a norm before the first, ``norm.…``.
    """

    op: str
    tensors: Mapping[str, Array]
    epsilon: float | None = None
    activation: str | None = None

    @property
    def features(self) -> int:
        """Dimension of what comes out."""
        weight = self.tensors["second.weight" if "mlp" in self.op else "weight"]
        return int(weight.shape[-1])

    def document(self) -> dict[str, Any]:
        more = {"epsilon": self.epsilon, "activation": self.activation}
        return {"op": self.op} | {name: value for name, value in more.items() if value is not None}


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
        return self.steps[-1].features

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
            steps.append(Step(step["op"], tensors, step.get("epsilon"), step.get("activation")))
        return cls(tuple(steps))
