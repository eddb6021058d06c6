"""Read single tensors of a checkpoint by name: safetensors (one file or shards), or a pickled
state dict, never unpickling anything but tensors."""

from __future__ import annotations

import difflib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sithctl.errors import InputError

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WRAPPERS = ("state_dict", "model")  # keys under which trainers keep a state dict


class Checkpoint:
    """The tensors of a checkpoint, read one at a time.

    Attributes:
        path: the file, or the index of the shards.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pickled: Mapping[str, Tensor] = {}
        self._where: dict[str, Path] = {}
        self._open: dict[Path, Any] = {}
        if path.name.endswith(".bin.index.json"):
            parts = sorted(set(_shards(path).values()))
            self._pickled = {n: t for part in parts for n, t in _state_dict(part).items()}
        elif path.name.endswith(".index.json"):
            self._where = _shards(path)
        elif path.suffix == ".safetensors":
            self._where = dict.fromkeys(_names(path), path)
        else:
            self._pickled = _state_dict(path)

    def __contains__(self, name: str) -> bool:
        return name in self._where or name in self._pickled

    def names(self) -> list[str]:
        return sorted(self._where or self._pickled)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape, from the header alone.

        Raises:
            InputError: it is not there.
        """
        if name in self._pickled:
            return tuple(self._pickled[name].shape)
        return tuple(self._header(name).get_shape())

    def dtype(self, name: str) -> str:
        """A tensor's type as safetensors calls it: F32, BF16, …"""
        if name in self._pickled:
            return str(self._pickled[name].dtype).removeprefix("torch.")
        return str(self._header(name).get_dtype())

    def stored(self, name: str) -> Tensor:
        """One tensor in the type that it is stored in.

        Raises:
            InputError: it is not there.
        """
        if name in self._pickled:
            return self._pickled[name]
        if name not in self._where:
            raise self._missing(name)
        return self._tensor(name)

    def files(self) -> dict[str, Path]:
        """Which safetensors file each tensor lies in; empty for pickled state dicts."""
        return dict(self._where)

    def merged(self) -> dict[str, Tensor]:
        """Tensors that read otherwise than the files have them: those that an adapter changes."""
        return {}

    def read(self, name: str, rows: slice | None = None) -> Tensor:
        """One tensor in float64, or some of its rows; no more than these is read.

        Raises:
            InputError: it is not there, or holds a NaN or an infinity.
        """
        part = rows or slice(None)
        if name in self._pickled:
            tensor = self._pickled[name][part]
        elif rows is None and name in self._where:
            tensor = self._tensor(name)
        else:
            header = self._header(name)
            try:
                tensor = header[part]
            except (SafetensorError, OSError) as error:
                raise _damaged(self._where[name]) from error
        if tensor.dtype not in FLOATS:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise InputError(
                f"not supported: quantised weights ({kind} in {name})",
                self.path,
                "use the checkpoint before it was quantised",
            )
        if not _finite(tensor):
            raise InputError(
                f"NaN or infinite weights in {name}", self.path, "use an undamaged checkpoint"
            )
        return tensor.double()

    def _tensor(self, name: str) -> Tensor:
        path = self._where[name]
        try:
            tensor: Tensor = self._file(path).get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise _damaged(path) from error
        return tensor

    def _header(self, name: str) -> Any:
        """A handle on one tensor that has read nothing of it."""
        if name not in self._where:
            raise self._missing(name)
        path = self._where[name]
        try:
            return self._file(path).get_slice(name)
        except (SafetensorError, OSError) as error:
            raise _damaged(path) from error

    def _file(self, path: Path) -> Any:
        """An open file, mapped once: opening parses the header anew."""
        if path not in self._open:
            self._open[path] = safe_open(path, framework="pt")
        return self._open[path]

    def _missing(self, name: str) -> InputError:
        names = self.names()
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.0) or ["nothing"]
        return InputError(
            f"no tensor {name} among the {len(names)} found (nearest: {near[0]})",
            self.path,
            "check that the config belongs to these weights",
        )


def _finite(tensor: Tensor) -> bool:
    """In one pass and no copy: a NaN, too, comes through as an extreme."""
    if not tensor.numel():
        return True
    return all(bool(end.isfinite()) for end in tensor.aminmax())


def _names(path: Path) -> list[str]:
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except (SafetensorError, OSError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> InputError:
    todo = "copy or download the checkpoint again"
    return InputError("not a whole safetensors file", path, todo)


def _shards(index: Path) -> dict[str, Path]:
    try:
        weight_map: dict[str, str] = json.loads(index.read_text())["weight_map"]
        shards = set(weight_map.values())
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise InputError(
            "not an index of shards (no weight_map)", index, "copy the checkpoint again"
        ) from error
    for shard in shards:
        # Judged by its name: a hub's cache keeps its files elsewhere and links to them.
        if not isinstance(shard, str) or shard != Path(shard).name or "\0" in shard:
            raise InputError(
                f"the index names a shard outside its folder: {shard}",
                index,
                "take the checkpoint from a source you trust",
            )
        if not (index.parent / shard).is_file():
            todo = "copy all files of the checkpoint"
            raise InputError("a shard is missing", index.parent / shard, todo)
    return {name: index.parent / shard for name, shard in weight_map.items()}


def _is_torchscript(path: Path) -> bool:
    try:
        names = zipfile.ZipFile(path).namelist()
    except (OSError, zipfile.BadZipFile):
        return False
    return any("/code/" in name for name in names)


def _state_dict(path: Path) -> Mapping[str, Tensor]:
    mapped = zipfile.is_zipfile(path)  # files of before torch 1.6 are no archives to be mapped
    if mapped and _is_torchscript(path):
        what = "a TorchScript archive, which runs code when it is opened"
        raise InputError(what, path, "save the model's state dict as safetensors")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # a refused pickle, a torn zip and a wrong format differ in type
        what = "not a state dict that loads with weights_only=True"
        raise InputError(what, path, "save the model's state dict as safetensors") from error
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise InputError("no state dict", path, "save the model as safetensors")
    tensors = {
        name.removeprefix("module."): tensor
        for name, tensor in content.items()
        if isinstance(tensor, Tensor) and isinstance(name, str)
    }
    if not tensors:
        raise InputError("a state dict without tensors", path, "save the model as safetensors")
    return tensors
