"""Where in a checkpoint a family's names are: under which prefix, in which spelling."""

from __future__ import annotations

import re

from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.models.family import Family
from sithctl.models.names import Layout


def find_layout(family: Family, checkpoint: Checkpoint) -> tuple[Layout, str]:
    """The layout and the prefix under which the first layer is found; the family's first of
    each, if under none: then the reader says which tensor is missing."""
    found = search_layout(family, checkpoint, family.prefixes)
    if found is None and family.tower == "vision" and family.library == "transformers":
        found = search_layout(family, checkpoint, _other_prefixes(family, checkpoint))
    return found or (family.layouts[0], family.prefixes[0])


def search_layout(
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
