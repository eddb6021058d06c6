"""What the algebra does not cover, found by structure: a guess would give numbers that mean
nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.models.families import FAMILIES
from sithctl.models.family import Family
from sithctl.models.nearest import nearest

# Parts of tensor names that betray a structure, whatever the architecture is called.
SIGNS = {
    "relative_position_bias_table": "a hierarchy of windows",
    ".downsample.": "a hierarchy of stages",
    ".stages.": "a hierarchy of stages",
    ".dwconv.": "convolutions",
    "batch_norm": "convolutions",
    ".bn1.": "convolutions",
    "attention.output.LayerNorm": "a norm after the residual sum",
    ".inner_attn_ln.": "a norm between value and output",
}
INSTEAD = "fold a model whose heads write straight into the residual stream"


def refuse(family: Family, checkpoint: Checkpoint) -> None:
    """Refuse what the family itself knows to be outside the algebra.

    Raises:
        InputError: naming the structure and a tensor that shows it.
    """
    why = _found(family.refused, checkpoint.names())
    if why:
        raise InputError(f"not supported: {why}", checkpoint.path, INSTEAD)


def unknown(kind: str, where: object, checkpoint: Checkpoint | None) -> InputError:
    """The error for an architecture that is not in the table: its obstacle, and the nearest."""
    known = sorted({t for f in FAMILIES for t in f.model_types})
    why = _found(SIGNS, checkpoint.names()) if checkpoint is not None else None
    reason = f" has {why}" if why else " is not in the table"
    return InputError(
        f"not supported: architecture {kind}{reason} (nearest: {nearest(kind, known, 1)})",
        where,
        "see `sithctl models`",
    )


def _found(signs: Mapping[str, str], names: Iterable[str]) -> str | None:
    listed = list(names)
    for part, why in signs.items():
        name = next((n for n in listed if part in n), None)
        if name:
            return f"{why} ({name})"
    return None
