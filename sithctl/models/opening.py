"""Open a model: find its family and sizes in what its library wrote; read nothing yet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.models.adapters import adapted
from sithctl.models.bare import open_bare
from sithctl.models.families import FAMILIES
from sithctl.models.family import Family
from sithctl.models.finding import find_layout
from sithctl.models.locate import Named, locate
from sithctl.models.location import Location, full_config
from sithctl.models.model import Model
from sithctl.models.names import is_outside
from sithctl.models.open_clip_families import OPEN_CLIP, OPEN_CLIP_TEXT, OPEN_CLIP_TIMM, TIMM
from sithctl.models.sizes import CONFIG, Sizes, check_layers, from_config, states
from sithctl.models.structure import INSTEAD, refuse, unknown
from sithctl.models.weights import Tower

TOWERS = ("vision", "text")
DUAL = "vision-text-dual-encoder"


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


def open_model(model: Named | Model, *, tower: str = "vision", heads: int | None = None) -> Model:
    """Find a model and its family; weights are read when asked for.

    Args:
        model: as on the command line, or a path.
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
    checkpoint = checkpoint_of(location)
    if location.library == "bare":
        return open_bare(location, checkpoint, tower, heads)
    if heads is not None:
        raise InputError(
            "the model's own config says how many heads it has", location.name, "leave out --heads"
        )
    family, sizes = _described(location, checkpoint, tower)
    refuse(family, checkpoint)
    layout, prefix = find_layout(family, checkpoint)
    check_layers(sizes, layout, prefix, checkpoint)
    return Model(location, family, Tower(checkpoint, prefix, layout, sizes))


def checkpoint_of(location: Location) -> Checkpoint:
    """A model's weights, seen through its adapter where it has one."""
    base = Checkpoint(location.weights)
    return base if location.adapter is None else adapted(base, location.adapter, location.config)


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
            raise InputError("not supported: no pooling (pool_type none)", where, INSTEAD)
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
