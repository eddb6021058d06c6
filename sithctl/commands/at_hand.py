"""What a half-written command line is about: its model's sizes, or its file's, read at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sithctl.commands.options import named_model

FILES = ("codes", "first", "spectra", "heads")  # parameters that name what stages made


@dataclass(frozen=True)
class AtHand:
    """Sizes that layers, heads and vectors can be chosen from.

    Attributes:
        layers: their numbers.
        heads: how many a layer has.
        vectors: how many a head has.
    """

    layers: list[int]
    heads: int
    vectors: int


def at_hand(given: Mapping[str, Any]) -> AtHand | None:
    """The sizes of the file that the parameters name, else of the model; None where they are not
    to be had at once: nothing is fetched, and torch is not loaded.

    Args:
        given: the command's parameters so far.
    """
    file = next((given[name] for name in FILES if isinstance(given.get(name), str | Path)), None)
    if file is not None and Path(file).is_file():
        return _of_file(Path(file))
    tower = given.get("tower") or "vision"
    return _of_model(named_model(given.get("model")), str(getattr(tower, "value", tower)))


def _of_file(path: Path) -> AtHand | None:
    """Of heads, spectra or codes, by the shapes of their arrays: rows of a layer are its heads."""
    from sithctl.artifacts.containers import shapes

    found: dict[int, tuple[int, int]] = {}
    for name, shape in shapes(path).items():
        parts = name.replace("/", ".").split(".")
        if parts[0] == "layers" and parts[2] in {"value_constant", "left", "indices"}:
            heads, vectors = re.findall(r"\d+", shape.partition("(")[2])[:2]
            found[int(parts[1])] = int(heads), int(vectors)
    if not found:
        return None
    return AtHand(sorted(found), *next(iter(found.values())))


def _of_model(model: str, tower: str) -> AtHand | None:
    """Of a model on this disk, by its config."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from sithctl.errors import InputError
    from sithctl.models.locate import locate
    from sithctl.models.sizes import from_config

    location = locate(model)
    for family, config in _families(location.library, location.config, tower):
        try:
            sizes = from_config(family, config, model)
        except InputError:
            continue  # stated in the library's defaults alone, or another family's
        return AtHand(list(range(sizes.layers)), sizes.heads, sizes.width // sizes.heads)
    return None


def _families(library: str, config: Mapping[str, Any], tower: str) -> Iterator[tuple[Any, Any]]:
    """Families that a config may be of, each with the part of it that would be theirs."""
    from sithctl.models.families import FAMILIES

    inside = [config.get(key) for key in ("vision_config", "encoder")]
    parts = [config, *(part for part in inside if isinstance(part, dict))]
    for part in parts:
        for family in FAMILIES:
            if (family.library, family.tower) == (library, tower) and (
                not family.model_types or part.get("model_type") in family.model_types
            ):
                yield family, part
