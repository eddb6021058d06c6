"""What weights give: every head's thin factors, and their singular triplets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from sithctl.kinds.base import Array, Artefact, Column, Identity, layer_numbers, numbers
from sithctl.kinds.readout import Readout
from sithctl.kinds.shown import Brief, number_of, numbered


@dataclass(frozen=True, repr=False)
class HeadFactors(Brief):
    """One layer's heads: W_VO = value @ output, never formed.

    Attributes:
        value: (heads, width, head_dim), the reader A.
        output: (heads, head_dim, width), the writer B.
        value_constant: (heads, head_dim); ``value_constant @ output`` is what a head writes
            whatever it reads.
    """

    value: Array
    output: Array
    value_constant: Array


@dataclass(frozen=True, eq=False, repr=False)
class Heads(Artefact):
    """The thin factors of every head's value-output matrix, by layer."""

    kind: ClassVar[str] = "heads"
    container: ClassVar[str] = "safetensors"

    architecture: dict[str, Any]
    layers: Mapping[int, HeadFactors]
    readout: Readout
    plain: bool = False

    def arrays(self) -> dict[str, Column]:
        result: dict[str, Column] = {}
        for layer, heads in self.layers.items():
            result[f"layers.{layer}.value"] = heads.value
            result[f"layers.{layer}.output"] = heads.output
            result[f"layers.{layer}.value_constant"] = heads.value_constant
        return result | self.readout.arrays()

    def details(self) -> dict[str, Any]:
        return {
            "architecture": self.architecture,
            "plain": self.plain,
            "readout": self.readout.document(),
        }

    def facts(self) -> list[str]:
        return [*_of_heads(self), "as stored" if self.plain else "norm folded"]

    @classmethod
    def from_parts(cls, document: Mapping[str, Any], arrays: Mapping[str, Column]) -> Self:
        identity = Identity.parse(document["model"])
        layers = {
            layer: HeadFactors(
                numbers(arrays[f"layers.{layer}.value"]),
                numbers(arrays[f"layers.{layer}.output"]),
                numbers(arrays[f"layers.{layer}.value_constant"]),
            )
            for layer in layer_numbers(arrays, ".")
        }
        readout = Readout.parse(document["readout"], arrays, ".")
        return cls(
            identity,
            tuple(document["history"]),
            document["architecture"],
            layers,
            readout,
            document["plain"],
        )


@dataclass(frozen=True, repr=False)
class LayerSpectra(Brief):
    """One layer's singular triplets.

    Attributes:
        left: (heads, rank, width), rows u: what a head reads for.
        singular_values: (heads, head_dim), all of them, descending, whatever the rank.
        right: (heads, rank, width), rows v: what a head writes.
    """

    left: Array
    singular_values: Array
    right: Array


@dataclass(frozen=True, eq=False, repr=False)
class Spectra(Artefact):
    """The singular value decomposition of every head's value-output matrix, by layer."""

    kind: ClassVar[str] = "spectra"
    container: ClassVar[str] = "safetensors"

    architecture: dict[str, Any]
    layers: Mapping[int, LayerSpectra]
    readout: Readout
    plain: bool = False

    def arrays(self) -> dict[str, Column]:
        result: dict[str, Column] = {}
        for layer, spectrum in self.layers.items():
            result[f"layers.{layer}.left"] = spectrum.left
            result[f"layers.{layer}.singular_values"] = spectrum.singular_values
            result[f"layers.{layer}.right"] = spectrum.right
        return result | self.readout.arrays()

    def details(self) -> dict[str, Any]:
        return {
            "architecture": self.architecture,
            "plain": self.plain,
            "readout": self.readout.document(),
        }

    def facts(self) -> list[str]:
        kept = {len(spectrum.right[0]) for spectrum in self.layers.values()}
        return [*_of_heads(self), *(f"{number_of(rank, 'vector')} each" for rank in sorted(kept))]

    @classmethod
    def from_parts(cls, document: Mapping[str, Any], arrays: Mapping[str, Column]) -> Self:
        layers = {
            layer: LayerSpectra(
                numbers(arrays[f"layers.{layer}.left"]),
                numbers(arrays[f"layers.{layer}.singular_values"]),
                numbers(arrays[f"layers.{layer}.right"]),
            )
            for layer in layer_numbers(arrays, ".")
        }
        readout = Readout.parse(document["readout"], arrays, ".")
        return cls(
            Identity.parse(document["model"]),
            tuple(document["history"]),
            document["architecture"],
            layers,
            readout,
            document["plain"],
        )


def _of_heads(heads: Heads | Spectra) -> list[str]:
    sizes = heads.architecture
    return [numbered("layer", heads.layers), f"{sizes['heads']} heads of {sizes['head_dim']}"]
