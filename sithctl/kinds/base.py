"""What every kind has: named arrays, one JSON document, a digest, a history."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sithctl._version import __version__
from sithctl.kinds.shown import Shown

SCHEMA = 1

Array = NDArray[Any]


class Blobs(list[bytes]):
    """Byte strings, such as small JPEGs: a type of its own, for an empty list has none."""


Column = Array | list[str] | Blobs  # a file's entry: numbers, texts or byte strings
History = tuple[dict[str, Any], ...]


def canonical(document: Any) -> str:
    """JSON with one spelling for one meaning: sorted keys, no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(document: Any, arrays: Mapping[str, Column]) -> str:
    """A digest of named arrays and a JSON document: 32 hexadecimal digits."""
    state = hashlib.sha256(canonical(document).encode())
    for name in sorted(arrays):
        column = arrays[name]
        if isinstance(column, list):
            sort = "bytes" if isinstance(column, Blobs) else "text"
            state.update(f"|{name}|{sort}|{len(column)}|".encode())
            for item in column:
                encoded = item.encode() if isinstance(item, str) else item
                state.update(f"{len(encoded)}:".encode())
                state.update(encoded)
        else:
            solid = np.ascontiguousarray(column)
            state.update(f"|{name}|{solid.dtype.str}|{solid.shape}|".encode())
            if solid.size:
                state.update(solid.reshape(-1).view(np.uint8).data)
    return state.hexdigest()[:32]


def entry(
    stage: str, parameters: Mapping[str, Any], inputs: Mapping[str, str | None]
) -> dict[str, Any]:
    """One line of history: only what changes the result, so that equal work has equal bytes."""
    return {
        "stage": stage,
        "version": __version__,
        "parameters": dict(parameters),
        "inputs": {name: digest for name, digest in inputs.items() if digest is not None},
    }


@dataclass(frozen=True)
class Identity:
    """Whose work this is.

    Attributes:
        name: the model's id, or its folder's base name; None for ready embeddings.
        space: digest of the read-out's tensors, which says whose feature space it is.
        layers: digest of the tensors of each layer read, for heads and spectra.
    """

    name: str | None = None
    space: str | None = None
    layers: Mapping[int, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        result: dict[str, Any] = {"name": self.name, "space": self.space}
        if self.layers:
            result["layers"] = {str(layer): digest for layer, digest in self.layers.items()}
        return result

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        layers = {int(layer): digest for layer, digest in document.get("layers", {}).items()}
        return cls(document.get("name"), document.get("space"), layers)


@dataclass(frozen=True, eq=False, repr=False)
class Artefact(Shown, ABC):
    """What every kind has: whose it is, how it came to be, and a digest of its content."""

    kind: ClassVar[str]
    container: ClassVar[str]

    model: Identity
    history: History

    @abstractmethod
    def arrays(self) -> dict[str, Column]:
        """What a file of it holds, by name."""

    def details(self) -> dict[str, Any]:
        """What this kind adds to the JSON document."""
        return {}

    def facts(self) -> list[str]:
        """What it holds, in a few words each."""
        return []

    def __repr__(self) -> str:
        facts = ", ".join(self.facts())
        return f"{type(self).__name__}({self.model.name or 'of a model not named'}: {facts})"

    def document(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "schema": SCHEMA,
            "model": self.model.document(),
            **self.details(),
            "history": list(self.history),
        }

    @cached_property
    def digest(self) -> str:
        """Digest of the content: the same in memory and in every file of it."""
        return digest_of(self.document(), self.arrays())

    def with_history(self, history: History) -> Self:
        return replace(self, history=history)

    @classmethod
    @abstractmethod
    def from_parts(cls, document: Mapping[str, Any], arrays: Mapping[str, Column]) -> Self:
        """The artefact that ``document`` and ``arrays`` were taken from."""


def numbers(column: Column) -> Array:
    if isinstance(column, list):
        raise TypeError("texts where numbers were expected")
    return column


def texts(column: Column) -> list[str]:
    if isinstance(column, Blobs | np.ndarray):
        raise TypeError("no texts where texts were expected")
    return column


def blobs(column: Column) -> Blobs:
    if not isinstance(column, Blobs):
        raise TypeError("no byte strings where byte strings were expected")
    return column


def optional(columns: Mapping[str, Column | None]) -> dict[str, Column]:
    """The columns that there are."""
    return {name: column for name, column in columns.items() if column is not None}


def layer_numbers(arrays: Mapping[str, Column], separator: str) -> list[int]:
    """The layers that some array name belongs to, ascending."""
    prefix = f"layers{separator}"
    return sorted({int(n.split(separator)[1]) for n in arrays if n.startswith(prefix)})
