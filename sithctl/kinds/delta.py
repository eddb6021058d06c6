"""An edit on its own: the tensors that changed, and what they stand in place of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from sithctl.kinds.base import Array, Artefact, Column, Identity, numbers
from sithctl.kinds.shown import number_of


@dataclass(frozen=True, eq=False, repr=False)
class Delta(Artefact):
    """Changed tensors of a checkpoint, which can be put on and taken off again.

    Attributes:
        plan: rows of layer, head, sv, scale, why.
        dtypes: the checkpoint's own types by tensor name; numpy has no bfloat16, so that its bits
            are stored as uint16.
        changed: by tensor name, what there is now.
        replaced: by tensor name, what was there before.
    """

    kind: ClassVar[str] = "delta"
    container: ClassVar[str] = "safetensors"

    plan: list[dict[str, Any]]
    dtypes: Mapping[str, str]
    changed: Mapping[str, Array]
    replaced: Mapping[str, Array]

    def arrays(self) -> dict[str, Column]:
        new: dict[str, Column] = {f"changed/{name}": a for name, a in self.changed.items()}
        return new | {f"replaced/{name}": a for name, a in self.replaced.items()}

    def details(self) -> dict[str, Any]:
        return {"plan": self.plan, "dtypes": dict(self.dtypes)}

    def facts(self) -> list[str]:
        return [number_of(len(self.plan), "change"), number_of(len(self.changed), "tensor")]

    @classmethod
    def from_parts(cls, document: Mapping[str, Any], arrays: Mapping[str, Column]) -> Self:
        def under(prefix: str) -> dict[str, Array]:
            found = {n: c for n, c in arrays.items() if n.startswith(prefix)}
            return {n.removeprefix(prefix): numbers(c) for n, c in found.items()}

        changed, replaced = under("changed/"), under("replaced/")
        if not changed.keys() == replaced.keys() == dict(document["dtypes"]).keys():
            raise ValueError("tensors changed and replaced")
        return cls(
            Identity.parse(document["model"]),
            tuple(document["history"]),
            document["plan"],
            document["dtypes"],
            changed,
            replaced,
        )
