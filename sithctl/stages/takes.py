"""What a public stage takes from the one before: another thing is told in a line, at its door. No
torch here."""

from __future__ import annotations

from sithctl.errors import InputError
from sithctl.kinds import Artefact

FROM = {
    "heads": "fold",
    "spectra": "svd",
    "pool": "encode_pool",
    "mean": "mean",
    "codes": "decompose",
}


def check_taken(stage: str, kind: type[Artefact], given: object) -> None:
    """Refuse what is no artefact of the kind that a stage takes.

    >>> from sithctl.kinds import Heads
    >>> check_taken("svd", Heads, "scenes")
    Traceback (most recent call last):
    sithctl.errors.InputError: svd takes heads, from fold: not str
    """
    if isinstance(given, kind):
        return
    found = given.kind if isinstance(given, Artefact) else type(given).__name__
    raise InputError(f"{stage} takes {kind.kind}, from {FROM[kind.kind]}", f"not {found}")
