"""What a family of models is: where each keeps what folding needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sithctl.models.names import (
    Layout,
    LinearPart,
    MlpPart,
    NormPart,
    Part,
)


@dataclass(frozen=True)
class Family:
    """One family of Vision Transformers, or of the text towers beside them.

    Attributes:
        name: for people.
        library: that writes its checkpoints: ``transformers``, ``open_clip`` or ``timm``.
        layouts: how a layer's tensors may be called; the first that is found counts.
        readout: the parts from the residual stream to the feature space, in order.
        sizes: where the config says layers, width, heads (or head_width), epsilon and activation.
        model_types: values of the config's ``model_type`` (transformers alone).
        within: the part of the config that describes the tower.
        tower: ``vision`` or ``text``.
        norm: ``layer-norm``, or ``rms-norm``, which removes no mean: nothing is centred then.
        prefixes: what may stand before the names, tried in order before any other.
        pooled: where the library's own output has the tower's feature: ``pooler``, or where there
            is none ``class`` (the normed class token) or ``mean`` (of the normed tokens).
        defaults: of sizes that a config may leave out.
        refused: parts of tensor names → why their presence breaks the algebra.
        example: a published model.
    """

    name: str
    library: str
    layouts: tuple[Layout, ...]
    readout: tuple[Part, ...]
    sizes: Mapping[str, str] = field(default_factory=dict)
    model_types: tuple[str, ...] = ()
    within: str = ""
    tower: str = "vision"
    norm: str = "layer-norm"
    prefixes: tuple[str, ...] = ("",)
    pooled: tuple[str, ...] = ("pooler",)
    defaults: Mapping[str, float | str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    example: str = ""

    @property
    def reads_out(self) -> list[str]:
        """The read-out's parts in words; in brackets what not every model has."""
        words = {NormPart: "norm", LinearPart: "linear", MlpPart: "MLP"}
        parts = [(words[type(part)], part.when is not None) for part in self.readout]
        shown = [f"({word})" if optional else word for word, optional in parts]
        return [word for i, word in enumerate(shown) if i == 0 or word != shown[i - 1]]
