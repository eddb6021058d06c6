"""A safetensors file read and written a tensor at a time.

The library maps what it reads, and what is read of a mapping counts as the process's memory until
the file is closed; what it writes it holds twice more. No torch here: the commands that read
artefacts alone start without it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

METADATA = "__metadata__"
NUMPY = {  # in the library's order of writing: the strictest alignment first
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
    "C64": "<c8",
    "F32": "<f4",
    "U32": "<u4",
    "I32": "<i4",
    "F16": "<f2",
    "U16": "<u2",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}


@dataclass(frozen=True)
class Place:
    """Where a tensor lies in its file.

    Attributes:
        dtype: as safetensors calls it: F32, BF16, ….
        start: of its first byte, from the beginning of the file.
        size: in bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int

    def rows(self, part: slice) -> Place:
        """The same of some rows, which lie together.

        Raises:
            ValueError: a step other than 1, or no axis to cut.
        """
        if not self.shape or part.step not in (None, 1):
            raise ValueError(f"no rows {part} of shape {self.shape}")
        first, last, _ = part.indices(self.shape[0])
        count = max(last - first, 0)
        row = self.size // self.shape[0] if self.shape[0] else 0
        return Place(self.dtype, (count, *self.shape[1:]), self.start + first * row, count * row)


def header(path: Path) -> tuple[dict[str, str], dict[str, Place]]:
    """The metadata of a safetensors file, and where its tensors lie, by name.

    Raises:
        SafetensorError: it is damaged, cut short or no safetensors file.
        OSError: it cannot be read.
    """
    with safe_open(path, framework="numpy"):
        pass  # the library has checked the header and the file's length, and mapped no more
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        entries: dict[str, Any] = json.loads(file.read(length))
    metadata = entries.pop(METADATA, None) or {}
    return metadata, {name: _place(entry, 8 + length) for name, entry in entries.items()}


def _place(entry: dict[str, Any], beginning: int) -> Place:
    start, stop = entry["data_offsets"]
    return Place(entry["dtype"], tuple(entry["shape"]), beginning + start, stop - start)


def fill(buffer: NDArray[np.uint8], path: Path, place: Place) -> None:
    """Read a tensor's bytes into an array of as many uint8.

    Raises:
        OSError: the file ends before them.
    """
    with path.open("rb") as file:
        file.seek(place.start)
        view, read = buffer.data, 0
        while read < place.size:  # one call reads 2 GB at most
            count = file.readinto(view[read:])
            if not count:
                raise OSError(f"{path} has been cut short")
            read += count


def array(path: Path, place: Place) -> NDArray[Any]:
    """A tensor as numpy has it.

    Raises:
        KeyError: a type that numpy does not have.
        OSError: the file ends before its last byte.
    """
    result = np.empty(place.shape, NUMPY[place.dtype])
    fill(result.reshape(-1).view(np.uint8), path, place)
    return result


def write(path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """The bytes that the library writes of the same, whatever its version.

    Raises:
        ValueError: a type that safetensors does not have.
    """
    kinds = {name: _kind(a) for name, a in arrays.items()}
    ranks = list(NUMPY)
    names = sorted(arrays, key=lambda name: (ranks.index(kinds[name]), name))
    entries: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    stop = 0
    for name in names:
        start, stop = stop, stop + arrays[name].nbytes
        shape = list(arrays[name].shape)
        entries[name] = {"dtype": kinds[name], "shape": shape, "data_offsets": [start, stop]}
    head = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for name in names:
            solid = np.ascontiguousarray(arrays[name], NUMPY[kinds[name]])
            file.write(solid.reshape(-1).view(np.uint8).data)


def _kind(array: NDArray[Any]) -> str:
    """A numpy type's name in safetensors, whatever its byte order."""
    found = array.dtype.newbyteorder("<").str
    kind = next((kind for kind, name in NUMPY.items() if name == found), None)
    if kind is None:
        raise ValueError(f"safetensors has no type for {array.dtype}")
    return kind
