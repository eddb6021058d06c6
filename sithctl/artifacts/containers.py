"""Named arrays and one JSON document in a safetensors or an HDF5 file.

Both writers are deterministic: no times, and an order of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from sithctl.artifacts.stored import StoredRows
from sithctl.checkpoints import tensor_file
from sithctl.errors import InputError
from sithctl.kinds import Array, Blobs, Column
from sithctl.kinds.base import canonical, numbers

ATTRIBUTE = "sithctl"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"

Parts = tuple[dict[str, Any], dict[str, Column]]
Names = Sequence[str]


def write_safetensors(
    path: Path, document: Mapping[str, Any], arrays: Mapping[str, Column]
) -> None:
    numeric = {name: numbers(array) for name, array in arrays.items()}
    tensor_file.write(path, numeric, {ATTRIBUTE: canonical(document)})


def write_hdf5(
    path: Path | BytesIO, document: Mapping[str, Any], arrays: Mapping[str, Column]
) -> None:
    import h5py

    text = h5py.string_dtype("utf-8")
    with h5py.File(path, "w") as file:
        file.attrs.create(ATTRIBUTE, canonical(document), dtype=text)
        for name in sorted(arrays):
            column = arrays[name]
            if isinstance(column, Blobs):
                kind = h5py.vlen_dtype(np.uint8)
                file.create_dataset(name, data=_ragged(column), dtype=kind)
            elif isinstance(column, list):
                file.create_dataset(name, data=np.array(column, dtype=object), dtype=text)
            else:
                file.create_dataset(name, data=column)


def packed(document: Mapping[str, Any], arrays: Mapping[str, Column]) -> bytes:
    """An HDF5 file in memory."""
    buffer = BytesIO()
    write_hdf5(buffer, document, arrays)
    return buffer.getvalue()


def unpacked(content: bytes) -> Parts:
    """What ``packed`` packed."""
    return _read_hdf5(BytesIO(content), only_document=False)


def _ragged(blobs: Blobs) -> Array:
    """Rows of different lengths; numpy would make a table of rows that happen to be as long."""
    rows = np.empty(len(blobs), dtype=object)
    for i, blob in enumerate(blobs):
        rows[i] = np.frombuffer(blob, np.uint8)
    return rows


def _read_safetensors(path: Path, only_document: bool, stored: Names = ()) -> Parts:
    metadata, places = tensor_file.header(path)
    document = json.loads(metadata[ATTRIBUTE])
    wanted = {} if only_document else places
    return document, {name: tensor_file.array(path, place) for name, place in wanted.items()}


def _read_hdf5(path: Path | BytesIO, only_document: bool, stored: Names = ()) -> Parts:
    import h5py

    arrays: dict[str, Column] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            sort = _sort(item.dtype)
            if sort == "text":
                arrays[name] = item.asstr()[()].tolist()
            elif sort == "bytes":
                arrays[name] = Blobs(blob.tobytes() for blob in item[()])
            elif name in stored and isinstance(path, Path) and _in_one_piece(item):
                rows: Any = StoredRows(path, item.id.get_offset(), item.shape, item.dtype)
                arrays[name] = rows
            else:
                arrays[name] = item[()]

    with h5py.File(path, "r") as file:
        document = json.loads(file.attrs[ATTRIBUTE])
        if not only_document:
            file.visititems(take)
    return document, arrays


def _in_one_piece(table: Any) -> bool:
    """Whether a table lies in its file as it is in memory: others may have packed it."""
    return table.ndim == 2 and table.id.get_offset() is not None and table.external is None


def _sort(dtype: Any) -> str:
    """``text``, ``bytes``, or the name of a type of numbers."""
    import h5py

    if h5py.check_string_dtype(dtype) is not None:
        return "text"
    return "bytes" if h5py.check_vlen_dtype(dtype) is not None else str(dtype)


def shapes(path: Path) -> dict[str, str]:
    """What the file holds: ``name → dtype (shape)``, without reading it."""
    found: dict[str, str] = {}
    if _is_hdf5(path):
        import h5py

        def take(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                found[name] = f"{_sort(item.dtype)} {tuple(item.shape)}"

        with h5py.File(path, "r") as file:
            file.visititems(take)
    else:
        for name, place in sorted(tensor_file.header(path)[1].items()):
            found[name] = f"{place.dtype} {place.shape}"
    return found


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(HDF5_MAGIC)) == HDF5_MAGIC


def read(path: Path, shown: str, only_document: bool = False, stored: Names = ()) -> Parts:
    """The document and the arrays of a file of either container.

    Args:
        path: the file.
        shown: what to call it in an error.
        only_document: leave the arrays out.
        stored: tables that are to stay in an HDF5 file until their rows are asked for.

    Raises:
        InputError: the file is empty, truncated or none of ours.
    """
    if path.stat().st_size == 0:
        raise InputError("the input is empty", shown, "give a file that sithctl wrote")
    reader: Callable[[Path, bool, Names], Parts] = (
        _read_hdf5 if _is_hdf5(path) else _read_safetensors
    )
    try:
        document, arrays = reader(path, only_document, stored)
        if not isinstance(document, dict) or not {"kind", "model", "history"} <= set(document):
            raise KeyError("kind")
    except KeyError as error:
        raise InputError(
            "a file that sithctl did not write", shown, "see `sithctl --help` for the stages"
        ) from error
    except Exception as error:  # h5py and safetensors raise half a dozen types for a bad file
        raise InputError(
            "neither a whole safetensors nor a whole HDF5 file (truncated, or of another kind)",
            shown,
            "make it again with the stage that writes it",
        ) from error
    return document, arrays
