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
    | {".ot", ".tflite", ".pb"}
)
BESIDE = frozenset({".git", ".cache", "__pycache__"})


def written_names(checkpoint: Checkpoint, single: str | None = None) -> dict[Path, str]:
    """The checkpoint's own files, shards and index, and what each is called when written.

    Args:
        single: for a checkpoint in one file, another name than its own.
    """
    path, files = checkpoint.path, set(checkpoint.files().values())
    if not path.name.endswith(".index.json"):
        return {path: single or (path.name if files else _renamed(path.name))}
    if files:
        return {file: file.name for file in (path, *sorted(files))}
    index = f"{_renamed(path.name.removesuffix('.index.json'))}.index.json"
    return {path: index} | {path.with_name(name): _renamed(name) for name in _parts(checkpoint)}


def write_checkpoint(
    checkpoint: Checkpoint,
    changed: Mapping[str, Tensor],
    folder: Path,
    single: str | None = None,
) -> Path:
    """Write a checkpoint's file or shards into ``folder`` under their own names.

    A safetensors file is copied and the changed tensors' bytes are put in their place, so that all
    else is equal to the byte. A pickled state dict becomes safetensors, shard for shard.

    Args:
        checkpoint: the original.
        changed: new tensors of the same names, shapes and types.
        folder: exists.
        single: for a checkpoint in one file, another name than its own.

    Returns:
        What was written: the file, or the index of its shards.
    """
    for name, tensor in changed.items():
        _check(checkpoint, name, tensor)
    changed = {**checkpoint.merged(), **changed}
    files, names = checkpoint.files(), written_names(checkpoint, single)
    if files:
        for source, name in names.items():
            shutil.copyfile(source, folder / name)
            patch(folder / name, {n: t for n, t in changed.items() if files[n] == source})
    else:
        _convert(checkpoint, changed, folder, names)
    return folder / names[checkpoint.path]


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


def is_weights(path: Path) -> bool:
    """Whether a file holds weights or says where shards lie, by its name."""
    return path.suffix in WEIGHT_SUFFIXES or path.name.endswith(".index.json")


def copy_beside(source: Path, target: Path, without: frozenset[str] = frozenset()) -> list[str]:
    """Copy what lies beside the weights (config, tokenizer, processor, …); returns the names of
    weights in other files, of folders, and of those named, which are left out."""
    left_out: list[str] = []
    for path in sorted(source.iterdir()):
        if path.name in BESIDE or path.name.startswith("."):
            continue
        if path.is_dir():
            left_out += [f"{path.name}/"]
        elif is_weights(path) or path.name in without or not path.is_file():
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


def _convert(
    checkpoint: Checkpoint, changed: Mapping[str, Tensor], folder: Path, files: Mapping[Path, str]
) -> None:
    """Safetensors of a pickled state dict: one file, or shards and an index."""
    from safetensors.torch import save_file

    path = checkpoint.path
    for part, names in _parts(checkpoint).items():
        # Tied tensors share their memory, which safetensors does not allow.
        tensors = {n: changed.get(n, checkpoint.stored(n)).clone().contiguous() for n in names}
        save_file(tensors, folder / files[path.with_name(part)], metadata={"format": "pt"})
    if path.name.endswith(".bin.index.json"):
        index = json.loads(path.read_text())
        index["weight_map"] = {n: _renamed(f) for n, f in index["weight_map"].items()}
        (folder / files[path]).write_text(json.dumps(index, indent=2) + "\n")


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
