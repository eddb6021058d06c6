"""A tower's sizes: from its config, or for a bare checkpoint from its tensors' shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.models.families import Family
from sithctl.models.names import Layout

CONFIG = "use the model's own config"


@dataclass(frozen=True)
class Sizes:
    """What a checkpoint's tensors do not say, or must agree with.

    Attributes:
        heads: that share what attention writes.
        epsilon: of the norms.
        activation: of an MLP in the read-out, as the library names it.
        norm: ``layer-norm`` or ``rms-norm``.
    """

    layers: int
    width: int
    heads: int
    epsilon: float
    activation: str = "gelu"
    norm: str = "layer-norm"


def states(family: Family, config: Mapping[str, Any]) -> bool:
    """Whether a config file says all sizes itself, so that the library need not be loaded (two
    seconds) to fill in its defaults; old CLIP files override one part by another."""
    tower = config.get(family.within) if family.within else config
    overridden = f"{family.within}_dict" in config
    return (
        isinstance(tower, Mapping) and not overridden and set(family.sizes.values()) <= set(tower)
    )


def from_config(family: Family, config: Mapping[str, Any], where: object) -> Sizes:
    """Sizes that a config states under the family's keys.

    Raises:
        InputError: it does not state one, or heads do not divide the width.
    """
    tower = config.get(family.within) if family.within else config
    if not isinstance(tower, Mapping):
        raise InputError(f"the config has no {family.within}", where, CONFIG)
    values: dict[str, Any] = {}
    for key, dotted in family.sizes.items():
        value: Any = tower
        for part in dotted.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        value = family.defaults.get(key) if value is None else value
        if key == "activation":
            values[key] = str(value or "gelu")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            name = f"{family.within}.{dotted}" if family.within else dotted
            raise InputError(f"the config does not say {name} (found {value})", where, CONFIG)
        else:
            values[key] = value
    width = int(values["width"])
    heads = values["heads"] if "heads" in values else width / values["head_width"]
    return Sizes(
        int(values["layers"]),
        width,
        whole_heads(heads, width, where),
        float(values["epsilon"]),
        values.get("activation", "gelu"),
        family.norm,
    )


def whole_heads(heads: float, width: int, where: object, todo: str = CONFIG) -> int:
    """The number of heads, where it divides the width.

    Raises:
        InputError: it does not.
    """
    if heads < 1 or heads != int(heads) or width % int(heads):
        raise InputError(f"{heads:g} heads do not divide the width {width}", where, todo)
    return int(heads)


def from_tensors(
    family: Family, layout: Layout, prefix: str, checkpoint: Checkpoint, heads: int | None
) -> Sizes:
    """Sizes of a checkpoint without a config: layers are counted, heads must be told.

    Raises:
        InputError: the heads are not told, or do not divide what attention writes.
    """
    if heads is None:
        raise InputError(
            "a bare checkpoint does not say how many heads it has",
            checkpoint.path,
            "give --heads N, or the model's whole directory",
        )
    before, after = layout.norm.split("{l}")
    pattern = re.compile(re.escape(prefix + before) + r"(\d+)" + re.escape(after) + r"\.weight")
    found = {int(m[1]) for name in checkpoint.names() if (m := pattern.fullmatch(name))}
    width, inner = checkpoint.shape(prefix + layout.output.weight.format(l=0))
    whole_heads(heads, inner, checkpoint.path, "give the number that the model was made with")
    return Sizes(max(found) + 1, width, heads, family.defaults["epsilon"], norm=family.norm)
