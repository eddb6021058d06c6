"""One model: its family's tensor names filled in, its sizes, and its weights to read from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sithctl.checkpoints.outline import Outline
from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.kinds import Readout
from sithctl.models.family import Family
from sithctl.models.location import Location
from sithctl.models.weights import LayerWeights, OutputNames, Tower

__all__ = ["LayerWeights", "Model"]


@dataclass(frozen=True)
class Model:
    """A located model whose single tensors can be read; no module is built.

    Attributes:
        location: where it lies.
        family: its entry in the table.
        tower: its tensors.
    """

    location: Location
    family: Family
    tower: Tower

    @property
    def name(self) -> str:
        return self.location.name

    @property
    def checkpoint(self) -> Checkpoint:
        return self.tower.checkpoint

    @property
    def layers(self) -> int:
        return self.tower.sizes.layers

    @property
    def width(self) -> int:
        return self.tower.sizes.width

    @property
    def heads(self) -> int:
        return self.tower.sizes.heads

    @property
    def epsilon(self) -> float:
        return self.tower.sizes.epsilon

    @cached_property
    def head_dim(self) -> int:
        output = self.tower.name(self.tower.layout.output.weight)
        return self.checkpoint.shape(output)[-1] // self.heads

    @property
    def centred(self) -> bool:
        """Whether all that reads the residual stream is a LayerNorm, so that both sides of a head
        are centred."""
        return self.tower.sizes.norm == "layer-norm"

    def architecture(self) -> dict[str, Any]:
        """Family and sizes, as artefacts carry them."""
        return {
            "family": self.family.name,
            "tower": self.family.tower,
            "norm": self.tower.sizes.norm,
            "layers": self.layers,
            "heads": self.heads,
            "width": self.width,
            "head_dim": self.head_dim,
        }

    def layer(self, layer: int) -> LayerWeights:
        """The tensors of one layer, counted from 0, in float64.

        Raises:
            InputError: one is missing, holds a NaN, or has another shape than the config says.
        """
        return self.tower.layer(layer)

    def output_names(self, layer: int) -> OutputNames:
        """The names of a layer's output projection."""
        return self.tower.output_names(layer)

    def tensors(self, layers: list[int]) -> list[str]:
        """The names of the tensors that folding these layers reads, which are looked at, not read.

        Raises:
            InputError: as folding would, but for NaN weights.
        """
        outline = Outline(self.checkpoint)
        looked = replace(self, tower=replace(self.tower, checkpoint=outline))
        for layer in layers:
            looked.layer(layer)
        if not looked.readout.steps:  # reads it
            raise InputError("no read-out", self.name)
        return list(outline.asked)

    @cached_property
    def readout(self) -> Readout:
        """From the residual stream to the feature space, float32 for artefacts that carry it.

        Raises:
            InputError: a tensor is missing or has another shape, or there is no norm at all.
        """
        steps, width = [], self.width
        for part in self.family.readout:
            step = self.tower.step(part, width)
            if step is not None:
                steps.append(step)
                width = step.features or width
        if not any(step.op.endswith("-norm") for step in steps):
            raise InputError(
                "not supported: a tower without a final norm",
                self.checkpoint.path,
                "use a checkpoint that has one",
            )
        return Readout(tuple(steps))

    @property
    def space(self) -> str:
        """Whose feature space this is; both towers of a model share one."""
        if self.family.tower == "vision" or self.location.library == "bare":
            return self.readout.space
        from sithctl.models.opening import feature_space

        return feature_space(self.location)
