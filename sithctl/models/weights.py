"""From a family's names to tensors: one layer's weights, and the read-out's steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.kinds import Step
from sithctl.models.names import Layout, LinearPart, Matrix, MlpPart, NormPart, Part
from sithctl.models.readout import ACTIVATIONS
from sithctl.models.sizes import Sizes

CHECK = "check that the config belongs to these weights"


@dataclass(frozen=True)
class LayerWeights:
    """One layer's tensors as stored, in float64.

    Attributes:
        norm_weight: (width,), of the norm before attention.
        norm_bias: (width,), or None where the norm has none.
        value_weight: (heads · head_dim, width); value_bias: (heads · head_dim,) or None.
        output_weight: (width, heads · head_dim).
        layer_scale: (width,) or None.
    """

    norm_weight: Tensor
    norm_bias: Tensor | None
    value_weight: Tensor
    value_bias: Tensor | None
    output_weight: Tensor
    layer_scale: Tensor | None

    def named(self) -> dict[str, Tensor]:
        return {name: t for name, t in vars(self).items() if t is not None}


@dataclass(frozen=True)
class OutputNames:
    """The tensors of an output projection; the bias is None where it has none."""

    weight: str
    bias: str | None


@dataclass(frozen=True)
class Tower:
    """A tower's tensors in a checkpoint, by the names that its family gives them.

    Attributes:
        prefix: before every name but those that start with ``/``.
    """

    checkpoint: Checkpoint
    prefix: str
    layout: Layout
    sizes: Sizes

    def layer(self, layer: int) -> LayerWeights:
        """The tensors of one layer, counted from 0.

        Raises:
            InputError: one is missing, holds a NaN, or has another shape than the config says.
        """
        names, width = self.layout, self.sizes.width
        self._check_whole(layer)
        norm = self.name(names.norm, layer)
        output = self._weight(names.output, layer)
        self._expect(names.output.weight, layer, output, width)
        inner = output.shape[1]
        if inner % self.sizes.heads:
            raise InputError(
                f"{self.sizes.heads} heads do not divide the {inner} columns of "
                f"{self.name(names.output.weight, layer)}",
                self.checkpoint.path,
                CHECK,
            )
        value = self._weight(names.value, layer)
        self._expect(names.value.weight, layer, value, inner, width)
        scale = next(
            (n for s in names.scale if (n := self.name(s, layer)) in self.checkpoint), None
        )
        return LayerWeights(
            self._vector(f"{norm}.weight", width),
            self._vector(f"{norm}.bias", width) if f"{norm}.bias" in self.checkpoint else None,
            value,
            self._bias(names.value, layer, inner),
            output,
            self._vector(scale, width) if scale else None,
        )

    def _check_whole(self, layer: int) -> None:
        """Refuse a layer without what its family, its library or the first layer always has: a torn
        checkpoint would else be taken for a model without LayerScale or biases."""
        names = self.layout
        norm = f"{names.norm}.bias"
        optional = [norm, *names.scale, *(bias for bias, _ in names.value.biases)]
        for template in dict.fromkeys((*names.always, *optional)):
            expected = (
                template in names.always
                or self.name(template, layer).removeprefix(self.prefix) in self.sizes.names
                or self.name(template, 0) in self.checkpoint
            )
            if expected and self.name(template, layer) not in self.checkpoint:
                raise InputError(
                    f"no tensor {self.name(template, layer)}, which the model should have",
                    self.checkpoint.path,
                    CHECK,
                )

    def output_names(self, layer: int) -> OutputNames:
        """The full names of a layer's output projection."""
        output = self.layout.output
        biases = self._there([self.name(b, layer) for b, _ in output.biases])
        return OutputNames(self.name(output.weight, layer), next(iter(biases), None))

    def step(self, part: Part, width: int) -> Step | None:
        """One step of the read-out; None where the model lacks this part.

        Args:
            part: its names.
            width: what it starts from.

        Raises:
            InputError: a tensor is missing, or does not start from ``width``.
        """
        if part.when is not None and self.name(part.when) not in self.checkpoint:
            return None
        if isinstance(part, NormPart):
            return self._norm(part.names, width)
        if isinstance(part, LinearPart):
            return Step("linear", self._linear(part.matrix, width))
        return self._mlp(part, width)

    def name(self, template: str, layer: int = 0) -> str:
        name = template.replace("{l}", str(layer))
        return name[1:] if name.startswith("/") else self.prefix + name

    def _there(self, names: list[str]) -> list[str]:
        return [name for name in names if name in self.checkpoint]

    def _weight(self, matrix: Matrix, layer: int = 0) -> Tensor:
        """A map's weight, (out, in); of a fused one the last share alone."""
        name = self.name(matrix.weight, layer)
        shape = self.checkpoint.shape(name)
        if len(shape) != 2 or shape[0] % matrix.share:
            raise self._wrong(name, shape, f"{matrix.share} equal parts")
        part = slice(shape[0] - shape[0] // matrix.share, None) if matrix.share > 1 else None
        weight = self.checkpoint.read(name, part)
        return weight.T if matrix.transposed else weight

    def _bias(self, matrix: Matrix, layer: int, out: int) -> Tensor | None:
        for template, share in matrix.biases:
            name = self.name(template, layer)
            if name in self.checkpoint:
                return self._vector(name, out * share)[-out:]
        return None

    def _linear(self, matrix: Matrix, width: int) -> dict[str, Any]:
        weight = self._weight(matrix)
        bias = self._bias(matrix, 0, weight.shape[0])
        if weight.shape[1] != width:
            raise InputError(
                f"{self.name(matrix.weight)} does not start from the width {width}",
                self.checkpoint.path,
                CHECK,
            )
        tensors = {"weight": weight.T} | ({} if bias is None else {"bias": bias})
        return _float32(tensors)

    def _norm_name(self, names: tuple[str, ...]) -> str:
        found = (n for n in map(self.name, names) if f"{n}.weight" in self.checkpoint)
        return next(found, self.name(names[0]))

    def _norm(self, names: tuple[str, ...], width: int) -> Step:
        return Step(
            self.sizes.norm, self._affine(self._norm_name(names), width), self.sizes.epsilon
        )

    def _affine(self, name: str, width: int) -> dict[str, Any]:
        tensors = {"weight": self._vector(f"{name}.weight", width)}
        if f"{name}.bias" in self.checkpoint:
            tensors["bias"] = self._vector(f"{name}.bias", width)
        return _float32(tensors)

    def _mlp(self, part: MlpPart, width: int) -> Step:
        first = self._linear(part.first, width)
        second = self._linear(part.second, first["weight"].shape[1])
        maps = {"first": first, "second": second}
        if part.norm is not None and f"{self.name(part.norm)}.weight" in self.checkpoint:
            maps["norm"] = self._affine(self.name(part.norm), width)
        tensors = {f"{a}.{b}": t for a, named in maps.items() for b, t in named.items()}
        if self.sizes.activation not in ACTIVATIONS:
            raise InputError(
                f"not supported: activation {self.sizes.activation} in the read-out",
                self.checkpoint.path,
                f"one of {', '.join(ACTIVATIONS)}",
            )
        op = "residual-mlp" if part.norm is not None else "mlp"
        epsilon = self.sizes.epsilon if "norm" in maps else None
        return Step(op, tensors, epsilon, self.sizes.activation)

    def _vector(self, name: str, width: int) -> Tensor:
        tensor = self.checkpoint.read(name)
        if tuple(tensor.shape) != (width,):
            raise self._wrong(name, tuple(tensor.shape), f"({width},)")
        return tensor

    def _expect(self, template: str, layer: int, tensor: Tensor, *shape: int) -> None:
        if tuple(tensor.shape[: len(shape)]) != shape:
            wanted = str(shape if len(shape) > 1 else f"({shape[0]}, …)")
            raise self._wrong(self.name(template, layer), tuple(tensor.shape), wanted)

    def _wrong(self, name: str, found: tuple[int, ...], wanted: str) -> InputError:
        said = f"{name} has shape {found} where the config says {wanted}"
        return InputError(said, self.checkpoint.path, CHECK)


def _float32(tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {n: np.ascontiguousarray(t.float().numpy()) for n, t in tensors.items()}
