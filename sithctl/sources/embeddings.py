"""Ready embeddings: ``.npy``, ``.safetensors`` with one tensor, ``.pt`` with one tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sithctl.errors import InputError
from sithctl.kinds import Array


def read_embeddings(path: Path, dimensions: int) -> Array:
    """One array of ``dimensions`` axes, float32.

    Raises:
        InputError: the file is missing, of another format or shape, or holds a NaN.
    """
    if not path.is_file():
        raise InputError("no such file", path, "check the path")
    try:
        array = _array(path)
    except InputError:
        raise
    except Exception as error:  # three readers' many ways to refuse a bad file
        raise InputError("not a whole array file", path, "expected numbers alone") from error
    array = np.squeeze(array) if dimensions == 1 else array
    if array.ndim != dimensions or array.size == 0:
        shape = "(rows, features)" if dimensions == 2 else "(features,)"
        raise InputError(f"shape {array.shape} where {shape} was expected", path)
    if not np.isfinite(array).all():
        raise InputError("NaN or infinite embeddings", path, "encode them again")
    return array.astype(np.float32)


def _array(path: Path) -> Array:
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False)
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        tensors = list(load_file(path).values())
        return _only(tensors, path)
    if path.suffix == ".pt":
        import torch

        content = torch.load(path, map_location="cpu", weights_only=True)
        found = content.values() if isinstance(content, dict) else [content]
        return _only(
            [t.detach().float().numpy() for t in found if isinstance(t, torch.Tensor)], path
        )
    raise InputError(f"not supported: {path.suffix or 'no suffix'}", path, "npy, safetensors, pt")


def _only(arrays: list[Array], path: Path) -> Array:
    if len(arrays) != 1:
        raise InputError(f"{len(arrays)} tensors where one was expected", path)
    return arrays[0]
