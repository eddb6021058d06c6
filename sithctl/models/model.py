"""One model: its family's tensor names filled in, its sizes, and its weights to read from."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sithctl.checkpoints.outline import Outline
from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.kinds import Readout
from sithctl.models.families import (
    FAMILIES,
    OPEN_CLIP,
    OPEN_CLIP_TEXT,
    OPEN_CLIP_TIMM,
    TIMM,
    Family,
)
from sithctl.models.locate import Location, full_config, locate
from sithctl.models.names import Layout, is_outside
from sithctl.models.sizes import CONFIG, Sizes, check_layers, from_config, from_tensors, states
from sithctl.models.structure import TODO, refuse, unknown
from sithctl.models.weights import LayerWeights, OutputNames, Tower

TOWERS = ("vision", "text")
DUAL = "vision-text-dual-encoder"
__all__ = ["LayerWeights", "Model", "open_model"]


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
        return feature_space(self.location)


def feature_space(location: Location) -> str:
    """The digest that names a model's feature space: of the vision tower's read-out, or where that
    is outside the algebra (a ResNet beside a text tower) of the text tower's.

    Raises:
        InputError: neither tower is in the table.
    """
    try:
        return open_located(location).readout.space
    except InputError:
        try:
            return open_located(location, tower="text").readout.space
        except InputError:
            pass
        raise


def open_model(model: str | Model, *, tower: str = "vision", heads: int | None = None) -> Model:
    """Find a model and its family; weights are read when asked for.

    Args:
        model: as on the command line.
        tower: ``vision``, or ``text`` of a model that has one.
        heads: of a bare checkpoint, which does not say.

    Raises:
        InputError: no such model, an architecture that is not in the table, or a structure that
            the algebra does not cover.
    """
    if isinstance(model, Model):
        return model
    if tower not in TOWERS:
        raise InputError(f"no tower {tower}", None, f"one of {', '.join(TOWERS)}")
    return open_located(locate(model), tower=tower, heads=heads)


def open_located(location: Location, *, tower: str = "vision", heads: int | None = None) -> Model:
    """The same of a model that is found already."""
    checkpoint = Checkpoint(location.weights)
    if location.library == "bare":
        return _bare(location, checkpoint, tower, heads)
    if heads is not None:
        raise InputError(
            "the model's own config says how many heads it has", location.name, "leave out --heads"
        )
    family, sizes = _described(location, checkpoint, tower)
    refuse(family, checkpoint)
    layout, prefix = _find(family, checkpoint)
    check_layers(sizes, layout, prefix, checkpoint)
    return Model(location, family, Tower(checkpoint, prefix, layout, sizes))


def _described(location: Location, checkpoint: Checkpoint, tower: str) -> tuple[Family, Sizes]:
    """The family and the sizes that a model's config gives."""
    config, where = location.config, location.name
    if location.library == "timm":
        if tower != "vision":
            raise _no_text(where)
        arguments = config.get("model_args") or {}
        if not isinstance(arguments, dict):
            raise InputError("model_args is no JSON object", where, CONFIG)
        return TIMM, _timm_sizes(config["architecture"], arguments, where)
    if location.library == "open_clip":
        if tower == "text":
            refuse(OPEN_CLIP_TEXT, checkpoint)
            return OPEN_CLIP_TEXT, from_config(OPEN_CLIP_TEXT, config, where)
        vision = config.get("vision_cfg")
        if isinstance(vision, dict) and vision.get("timm_model_name") is not None:
            return OPEN_CLIP_TIMM, _trunk_sizes(vision, where)
        if isinstance(vision, dict) and vision.get("pool_type") == "none":
            raise InputError("not supported: no pooling (pool_type none)", where, TODO)
        refuse(OPEN_CLIP, checkpoint)  # a ResNet has other sizes altogether
        return OPEN_CLIP, from_config(OPEN_CLIP, config, where)
    family, config = _transformers(location, checkpoint, tower, location.config)
    if not states(family, config):  # a file leaves out what is its class's default
        config = full_config(str(location.weights.parent))
        family, config = _transformers(location, checkpoint, tower, config)
    return family, from_config(family, config, where)


def _trunk_sizes(vision: dict[str, Any], where: str) -> Sizes:
    """Of a trunk as OpenCLIP makes it: with a projection of its own it takes the trunk's default
    pooling first and sets another after, which leaves the norms as they were."""
    pool = vision.get("timm_pool")
    projected = vision.get("timm_proj") in ("linear", "mlp")
    arguments = {} if projected or not pool else {"global_pool": pool}
    return _timm_sizes(vision["timm_model_name"], arguments, where)


def _timm_sizes(architecture: Any, arguments: dict[str, Any], where: str) -> Sizes:
    from sithctl.models.timm_models import sizes_of, skeleton

    return sizes_of(skeleton(architecture, arguments, where), where)


def _transformers(
    location: Location, checkpoint: Checkpoint, tower: str, config: dict[str, Any]
) -> tuple[Family, dict[str, Any]]:
    """The family by ``model_type``: the model's own, or that of a tower inside (LLaVA)."""
    kind = str(config.get("model_type"))
    towers = {(f.tower, t): f for f in FAMILIES for t in f.model_types}
    if (tower, kind) in towers:
        return towers[tower, kind], config
    if tower == "text":
        raise _no_text(location.name)
    if ("text", kind) in towers:
        raise InputError("a text tower alone", location.name, "fold it with --tower text")
    if kind == DUAL:
        raise InputError(
            "not supported: a projection behind the vision model's own pooling",
            location.name,
            "fold its vision model from a directory of its own",
        )
    for key in ("vision_config", "encoder"):
        inside = config.get(key)
        if isinstance(inside, dict) and ("vision", inside.get("model_type")) in towers:
            return _alone(towers["vision", inside["model_type"]]), inside
    raise unknown(kind, location.name, checkpoint)


def _alone(family: Family) -> Family:
    """The family of a tower inside another model, whose own tensors are not the tower's."""
    return replace(family, readout=tuple(p for p in family.readout if not is_outside(p)))


def _no_text(where: str) -> InputError:
    return InputError("no text tower that could be folded", where, "leave out --tower text")


def _bare(location: Location, checkpoint: Checkpoint, tower: str, heads: int | None) -> Model:
    """A checkpoint without a config: of the families whose names are found in it, the one that
    accounts for most of its tensors."""
    found: list[tuple[int, Model]] = []
    refused: InputError | None = None
    for family in FAMILIES:
        place = _search(family, checkpoint, family.prefixes) if family.tower == tower else None
        if place is None:
            continue
        layout, prefix = place
        try:
            refuse(family, checkpoint)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sizes = from_tensors(family, layout, prefix, checkpoint, heads)
            model = Model(location, family, Tower(checkpoint, prefix, layout, sizes))
            found.append((len(model.tensors([0])), model))
        except InputError as error:
            refused = refused or error
            continue
    if not found:
        raise refused or InputError(
            "no config beside it, and tensor names of no family in the table",
            location.weights,
            "give the model's whole directory, or see `sithctl models`",
        )
    best = max(found, key=lambda pair: pair[0])[1]  # the first of equals
    from_tensors(best.family, best.tower.layout, best.tower.prefix, checkpoint, heads)  # warns
    return best


def _find(family: Family, checkpoint: Checkpoint) -> tuple[Layout, str]:
    """The layout and the prefix under which the first layer is found; the family's first of
    each, if under none: then the reader says which tensor is missing."""
    found = _search(family, checkpoint, family.prefixes)
    if found is None and family.tower == "vision" and family.library == "transformers":
        found = _search(family, checkpoint, _other_prefixes(family, checkpoint))
    return found or (family.layouts[0], family.prefixes[0])


def _search(
    family: Family, checkpoint: Checkpoint, prefixes: tuple[str, ...]
) -> tuple[Layout, str] | None:
    for prefix in prefixes:
        for layout in family.layouts:
            names = (f"{layout.norm}.weight", layout.value.weight, layout.output.weight)
            if all(prefix + name.replace("{l}", "0") in checkpoint for name in names):
                return layout, prefix
    return None


def _other_prefixes(family: Family, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Whatever stands before a first layer, but for other towers'; refuses to choose."""
    other = re.compile(r"(^|[._])(text|decoder|language|teacher|qformer)")
    for layout in family.layouts:
        ending = re.escape(f"{layout.norm}.weight".replace("{l}", "0"))
        matches = (re.fullmatch(rf"(.+\.){ending}", name) for name in checkpoint.names())
        chosen = sorted({m[1] for m in matches if m and not other.search(m[1])})
        if len(chosen) > 1:
            raise InputError(
                f"several towers: {', '.join(chosen)}",
                checkpoint.path,
                "save the one you mean alone",
            )
        if chosen:
            return tuple(chosen)
    return ()
