"""One tensor under two names: what transformers calls it on disk and, since version 5, in memory;
and what stands before it in one model and not in another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

# In this order: what attention writes before what the MLP does, which is a part of its name.
_MEMORY = (
    (r"(?:(?<=\.)|^)(?:encoder\.)?layers?\.(?=\d)", "layers."),
    (r"attention\.(?:attention\.)?(query|key|value)(?=\.|$)", r"attention.\1"),
    (r"attention\.query(?=\.|$)", "attention.q_proj"),
    (r"attention\.key(?=\.|$)", "attention.k_proj"),
    (r"attention\.value(?=\.|$)", "attention.v_proj"),
    (r"attention\.output\.dense(?=\.|$)", "attention.o_proj"),
    (r"intermediate\.dense(?=\.|$)", "mlp.fc1"),
    (r"(?<=\d\.)output\.dense(?=\.|$)", "mlp.fc2"),
)


@cache
def respelled(name: str) -> str:
    """A name in one spelling, whichever of the two it has."""
    for pattern, memory in _MEMORY:
        name = re.sub(pattern, memory, name)
    return name


def same_tensor(name: str, names: Iterable[str]) -> list[str]:
    """Those of ``names`` that can be ``name``: itself; else all that differ in what stands before;
    else all that differ in the spelling, too.

    >>> same_tensor("vit.layers.0.attention.q_proj", ["encoder.layer.0.attention.attention.query"])
    ['encoder.layer.0.attention.attention.query']
    """
    listed = list(names)
    if name in listed:
        return [name]
    spelled = respelled(name)
    return _nearest(name, [(o, o) for o in listed]) or _nearest(
        spelled, [(o, respelled(o)) for o in listed]
    )


def _nearest(name: str, others: list[tuple[str, str]]) -> list[str]:
    """Of those that end alike, the ones that share most."""
    alike = [(min(len(name), len(s)), other) for other, s in others if _end_alike(name, s)]
    most = max((shared for shared, _ in alike), default=0)
    return [other for shared, other in alike if shared == most]


def _end_alike(one: str, other: str) -> bool:
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")
