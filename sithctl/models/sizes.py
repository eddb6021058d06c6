"""A tower's sizes: from its config, or for a bare checkpoint from its tensors' shapes."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sithctl.errors import InputError
from sithctl.models.family import Family
from sithctl.models.names import Layout

if TYPE_CHECKING:  # completion reads sizes of configs without torch
    from sithctl.checkpoints.reader import Checkpoint

CONFIG = "use the model's own config"
MOST = 10**6  # of anything that is counted


@dataclass(frozen=True)
class Sizes:
    """What a checkpoint's tensors do not say, or must agree with.

    Attributes:
        heads: that share what attention writes.
        epsilon: of the norms.
        activation: of an MLP in the read-out, as the library names it.
        norm: ``layer-norm`` or ``rms-norm``.
        names: all tensors of the model, below its prefix, where its library told them.
    """

    layers: int
    width: int
    heads: int
    epsilon: float
    activation: str = "gelu"
    norm: str = "layer-norm"
    names: frozenset[str] = frozenset()


def states(family: Family, config: Mapping[str, Any]) -> bool:
    """Whether a config file says all sizes itself, so that the library need not be loaded (two
    seconds) to fill in its defaults; old CLIP files override one part by another."""
    tower = config.get(family.within) if family.within else config
    if not isinstance(tower, Mapping) or f"{family.within}_dict" in config:
        return False
    return set(family.sizes.values()) <= set(tower)


def from_config(family: Family, config: Mapping[str, Any], where: object) -> Sizes:
    """Sizes that a config states under the family's keys.

    Raises:
        InputError: it does not state one, or not as a number that it can be.
    """
    tower = config.get(family.within) if family.within else config
    if not isinstance(tower, Mapping):
        raise InputError(f"the config has no {family.within}", where, CONFIG)

    def stated(key: str) -> Any:
        value: Any = tower
        for part in family.sizes[key].split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return family.defaults.get(key) if value is None else value

    def count(key: str) -> int:
        name = ".".join(filter(None, (family.within, family.sizes[key])))
        return _count(stated(key), name, where)

    width = count("width")
    heads = count("heads") if "heads" in family.sizes else width / count("head_width")
    epsilon = stated("epsilon")
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not _small(epsilon):
        raise InputError(f"the config says an epsilon of {epsilon}", where, CONFIG)
    return Sizes(
        count("layers"),
        width,
        whole_heads(heads, width, where),
        float(epsilon),
        str(stated("activation") or "gelu") if "activation" in family.sizes else "gelu",
        family.norm,
    )


def _count(value: Any, name: str, where: object) -> int:
    """A whole number of at least one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"the config does not say {name} (found {value})", where, CONFIG)
    if not 1 <= value <= MOST or value != int(value):  # NaN too
        raise InputError(f"the config says {name} {value}", where, CONFIG)
    return int(value)


def _small(epsilon: float) -> bool:
    return math.isfinite(epsilon) and 0 <= epsilon < 1


def whole_heads(heads: float, width: int, where: object, todo: str = CONFIG) -> int:
    """The number of heads, where it divides the width.

    Raises:
        InputError: it does not.
    """
    if heads < 1 or heads != int(heads) or width % int(heads):
        raise InputError(f"{heads:g} heads do not divide the width {width}", where, todo)
    return int(heads)


def count_layers(layout: Layout, prefix: str, checkpoint: Checkpoint) -> int:
    """How many layers a checkpoint has, by its names."""
    before = prefix + layout.norm.split("{l}")[0]
    pattern = re.compile(re.escape(before) + r"(\d+)\.")
    found = {int(m[1]) for name in checkpoint.names() if (m := pattern.match(name))}
    return max(found, default=-1) + 1


def check_layers(sizes: Sizes, layout: Layout, prefix: str, checkpoint: Checkpoint) -> None:
    """Refuse a config that says another number of layers than there are.

    Raises:
        InputError: it does.
    """
    found = count_layers(layout, prefix, checkpoint)
    if found and found != sizes.layers:
        raise InputError(
            f"the config says {sizes.layers} layers, the checkpoint has {found}",
            checkpoint.path,
            "check that the config belongs to these weights",
        )


def from_tensors(
    family: Family, layout: Layout, prefix: str, checkpoint: Checkpoint, heads: int | None
) -> Sizes:
    """Sizes of a checkpoint without a config: layers are counted, heads must be told, and what its
    family mostly has is assumed of the rest, with a warning that says so.

    Raises:
        InputError: the heads are not told, or do not divide what attention writes; or the norms
            could be of either kind.
    """
    if heads is None:
        raise InputError(
            "a bare checkpoint does not say how many heads it has",
            checkpoint.path,
            "give --heads N, or the model's whole directory",
        )
    shape = checkpoint.shape(prefix + layout.output.weight.replace("{l}", "0"))
    if len(shape) != 2:
        raise InputError(f"an output projection of shape {shape}", checkpoint.path, CONFIG)
    width, inner = shape
    whole_heads(heads, inner, checkpoint.path, "give the number that the model was made with")
    has_bias = prefix + layout.norm.replace("{l}", "0") + ".bias" in checkpoint
    if has_bias != (family.norm == "layer-norm"):
        raise InputError(
            "a bare checkpoint does not say whether norms without a bias remove the mean",
            checkpoint.path,
            "give the model's whole directory",
        )
    epsilon = float(family.defaults["epsilon"])
    activation = str(family.defaults.get("activation", "gelu"))
    warnings.warn(
        f"no config beside it: taken for {family.name}, with epsilon {epsilon:g}",
        stacklevel=2,
    )
    layers = count_layers(layout, prefix, checkpoint)
    return Sizes(layers, width, heads, epsilon, activation, family.norm)
