"""Write an edited checkpoint back as what it was: the same files, names, shapes and types, with
nothing but the changed tensors' bytes different."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError

# Weights in any form: copied beside the edited ones they would be the unedited model.
WEIGHT_SUFFIXES = frozenset(
    {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5", ".onnx", ".gguf", ".npz"}
)
BESIDE = frozenset({".git", ".cache", "__pycache__"})


def write_checkpoint(checkpoint: Checkpoint, changed: Mapping[str, Tensor], folder: Path) -> None:
    """Write a checkpoint's file or shards into ``folder`` under their own names.

    A safetensors file is copied and the changed tensors' bytes are put in their place, so that all
    else is equal to the byte. A pickled state dict becomes safetensors, shard for shard.

    Args:
        checkpoint: the original.
        changed: new tensors of the same names, shapes and types.
        folder: exists.
    """
    for name, tensor in changed.items():
        _check(checkpoint, name, tensor)
    files = checkpoint.files()
    if not files:
        _convert(checkpoint, changed, folder)
        return
    if checkpoint.path.name.endswith(".index.json"):
        shutil.copyfile(checkpoint.path, folder / checkpoint.path.name)
    for source in sorted(set(files.values())):
        target = folder / source.name
        shutil.copyfile(source, target)
        patch(target, {n: t for n, t in changed.items() if files[n] == source})


def patch(path: Path, changed: Mapping[str, Tensor]) -> None:
    """Put tensors' bytes in their place in a safetensors file."""
    if not changed:
        return
    with path.open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        for name, tensor in changed.items():
            start, stop = header[name]["data_offsets"]
            data = raw(tensor)
            if len(data) != stop - start:
                raise InputError(f"{name} has {len(data)} bytes, not {stop - start}", path)
            file.seek(8 + length + start)
            file.write(data)


def raw(tensor: Tensor) -> bytes:
    """A tensor's bytes as safetensors has them: little-endian, row by row."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def copy_beside(source: Path, target: Path) -> list[str]:
    """Copy what lies beside the weights (config, tokenizer, processor, …); returns the names of
    weights in other files, which are left out."""
    left_out: list[str] = []
    for path in sorted(source.iterdir()):
        if path.name in BESIDE or path.name.startswith("."):
            continue
        if path.is_dir():
            left_out += [f"{path.name}/"]
        elif path.suffix in WEIGHT_SUFFIXES or path.name.endswith(".index.json"):
            left_out.append(path.name)
        else:
            shutil.copyfile(path, target / path.name)
    return left_out


def _check(checkpoint: Checkpoint, name: str, tensor: Tensor) -> None:
    stored = checkpoint.stored(name)
    if tensor.shape != stored.shape or tensor.dtype != stored.dtype:
        raise InputError(
            f"{name} is {stored.dtype} {tuple(stored.shape)} there and {tensor.dtype} "
            f"{tuple(tensor.shape)} here",
            checkpoint.path,
            "give tensors of the same shapes and types",
        )


def _convert(checkpoint: Checkpoint, changed: Mapping[str, Tensor], folder: Path) -> None:
    """Safetensors of a pickled state dict: under the same name, or shards and an index."""
    from safetensors.torch import save_file

    for name, names in _parts(checkpoint).items():
        # Tied tensors share their memory, which safetensors does not allow.
        tensors = {n: changed.get(n, checkpoint.stored(n)).clone().contiguous() for n in names}
        save_file(tensors, folder / _renamed(name), metadata={"format": "pt"})
    if checkpoint.path.name.endswith(".bin.index.json"):
        index = json.loads(checkpoint.path.read_text())
        index["weight_map"] = {n: _renamed(f) for n, f in index["weight_map"].items()}
        name = _renamed(checkpoint.path.name.removesuffix(".index.json"))
        (folder / f"{name}.index.json").write_text(json.dumps(index, indent=2) + "\n")


def _parts(checkpoint: Checkpoint) -> dict[str, list[str]]:
    """Tensor names by the file that they lie in."""
    path = checkpoint.path
    if not path.name.endswith(".bin.index.json"):
        return {path.name: checkpoint.names()}
    parts: dict[str, list[str]] = {}
    for name, file in json.loads(path.read_text())["weight_map"].items():
        parts.setdefault(file, []).append(name)
    return parts


def _renamed(name: str) -> str:
    """``pytorch_model.bin`` → ``model.safetensors``: the names under which libraries look."""
    stem = name.rsplit(".", 1)[0].replace("pytorch_model", "model", 1)
    return f"{stem}.safetensors"
