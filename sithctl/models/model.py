"""One model: its family's tensor names filled in, its sizes, and its weights to read from."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.kinds import Readout, Step
from sithctl.models.families import FAMILIES, Family, StepNames
from sithctl.models.locate import Location, locate


@dataclass(frozen=True)
class LayerWeights:
    """One layer's tensors as stored, in float64.

    Attributes:
        norm_weight, norm_bias: (width,), the LayerNorm before attention.
        value_weight: (heads · head_dim, width); value_bias: (heads · head_dim,) or None.
        output_weight: (width, heads · head_dim).
        layer_scale: (width,) or None.
    """

    norm_weight: Tensor
    norm_bias: Tensor
    value_weight: Tensor
    value_bias: Tensor | None
    output_weight: Tensor
    layer_scale: Tensor | None

    def named(self) -> dict[str, Tensor]:
        return {name: t for name, t in vars(self).items() if t is not None}


@dataclass(frozen=True)
class Model:
    """A located model whose single tensors can be read; no module is built."""

    location: Location
    family: Family
    checkpoint: Checkpoint
    prefix: str
    layers: int
    width: int
    heads: int
    epsilon: float

    @property
    def name(self) -> str:
        return self.location.name

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    def architecture(self) -> dict[str, Any]:
        """Family and sizes, as artefacts carry them."""
        return {
            "family": self.family.name,
            "layers": self.layers,
            "heads": self.heads,
            "width": self.width,
            "head_dim": self.head_dim,
        }

    def layer(self, layer: int) -> LayerWeights:
        """The tensors of one layer, counted from 0.

        Raises:
            InputError: a tensor is missing, holds a NaN, or has another shape than the config
                says.
        """
        family, width = self.family, self.width
        norm, value = self._name(family.norm, layer), self._name(family.value, layer)
        output = self._name(family.output, layer)
        value_weight, value_bias = self._value(value)
        scale = self._name(family.layer_scale, layer) if family.layer_scale else None
        return LayerWeights(
            self._read(f"{norm}.weight", width),
            self._read(f"{norm}.bias", width),
            value_weight,
            value_bias,
            self._read(f"{output}.weight", width, width),
            self._read(scale, width) if scale and scale in self.checkpoint else None,
        )

    @cached_property
    def readout(self) -> Readout:
        """The final norm and the projection, float32 for the artefacts that carry it."""
        return Readout(tuple(self._step(names) for names in self.family.readout))

    def _name(self, template: str, layer: int) -> str:
        return self.prefix + template.format(l=layer)

    def _read(self, name: str, *shape: int) -> Tensor:
        tensor = self.checkpoint.read(name)
        if shape and tuple(tensor.shape) != shape:
            raise InputError(
                f"{name} has shape {tuple(tensor.shape)} where the config says {shape}",
                self.checkpoint.path,
                "check that the config belongs to these weights",
            )
        return tensor

    def _value(self, name: str) -> tuple[Tensor, Tensor | None]:
        if not self.family.fused:
            bias = f"{name}.bias"
            weight = self._read(f"{name}.weight", self.width, self.width)
            return weight, self._read(bias, self.width) if bias in self.checkpoint else None
        bias = f"{name}bias"
        weight = self._read(f"{name}weight", 3 * self.width, self.width)
        has_bias = bias in self.checkpoint
        return (
            weight[2 * self.width :],
            self._read(bias, 3 * self.width)[2 * self.width :] if has_bias else None,
        )

    def _step(self, names: StepNames) -> Step:
        name = self.prefix + names.name
        if names.op == "layer-norm":
            tensors = {
                "weight": self._read(f"{name}.weight", self.width),
                "bias": self._read(f"{name}.bias", self.width),
            }
            return Step("layer-norm", _float32(tensors), self.epsilon)
        weight = self._read(name)
        if names.stored == "out-in":
            weight = weight.T
        if weight.ndim != 2 or weight.shape[0] != self.width:
            raise InputError(
                f"{name} does not start from the width {self.width}",
                self.checkpoint.path,
                "check that the config belongs to these weights",
            )
        return Step("linear", _float32({"weight": weight}))


def _float32(tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {n: np.ascontiguousarray(t.float().numpy()) for n, t in tensors.items()}


def open_model(model: str | Model) -> Model:
    """Find a model and its family; weights are read when asked for.

    Raises:
        InputError: no such model, an architecture that is not in the table, or a structure that
            the algebra does not cover.
    """
    if isinstance(model, Model):
        return model
    location = locate(model)
    family = _family(location)
    checkpoint = Checkpoint(location.weights)
    _refuse(family, checkpoint)
    sizes = _sizes(family, location)
    prefix = _prefix(family, checkpoint)
    width = int(sizes["width"])
    heads = sizes["heads"] if "heads" in sizes else width / sizes["head_width"]
    if heads < 1 or heads != int(heads) or width % int(heads):
        raise InputError(
            f"{heads:g} heads do not divide the width {width}",
            location.name,
            "use the model's own config",
        )
    return Model(
        location,
        family,
        checkpoint,
        prefix,
        int(sizes["layers"]),
        width,
        int(heads),
        float(sizes["epsilon"]),
    )


def _family(location: Location) -> Family:
    if location.library == "open_clip":
        return next(f for f in FAMILIES if f.library == "open_clip")
    kind = str(location.config.get("model_type"))
    known = {t: f for f in FAMILIES for t in f.model_types}
    if kind in known:
        return known[kind]
    near = difflib.get_close_matches(kind, known, n=1, cutoff=0.0)[0]
    raise InputError(
        f"not supported: architecture {kind} (nearest: {near})",
        location.name,
        f"one of {', '.join(known)}, or an OpenCLIP ViT",
    )


def _refuse(family: Family, checkpoint: Checkpoint) -> None:
    for part, why in (family.refused or {}).items():
        name = next((n for n in checkpoint.names() if part in n), None)
        if name:
            todo = "fold a model whose heads write straight into the residual stream"
            raise InputError(f"not supported: {why} ({name})", checkpoint.path, todo)


def _sizes(family: Family, location: Location) -> dict[str, float]:
    sizes: dict[str, float] = {}
    for key, dotted in family.config.items():
        value: Any = location.config
        for part in dotted.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        value = (family.defaults or {}).get(key) if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(
                f"the config does not say {dotted} (found {value})",
                location.name,
                "use the model's own config",
            )
        sizes[key] = value
    return sizes


def _prefix(family: Family, checkpoint: Checkpoint) -> str:
    """The prefix under which the first norm is found; the first of all, if under none."""
    first = family.norm.format(l=0) + ".weight"
    found = (p for p in family.prefixes if p + first in checkpoint)
    return next(found, family.prefixes[0])
