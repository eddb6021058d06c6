"""Columns of numbers that stay in their file: a pool's embeddings can be more than memory holds.

They are read, not mapped: mapped pages would count as the process's own memory.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from sithctl.errors import InputError
from sithctl.kinds import Array

LONGEST = 1 << 30  # bytes of one read: some systems take no more than 2 GiB


class StoredRows:
    """Rows of a table in a file, read when they are asked for.

    Args:
        path: the file; it stays open, so that it may be renamed or deleted meanwhile.
        start: where in it the table begins.
        shape: (M, d).
        dtype: of its numbers.
    """

    ndim = 2

    def __init__(self, path: Path, start: int, shape: tuple[int, int], dtype: Any) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._path, self._start = path, start
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        return self.shape[0] * self._row

    def __getitem__(self, rows: slice | Array) -> Array:
        """Rows in memory: some that follow one another, or any."""
        if isinstance(rows, slice) and rows.step in (None, 1):
            first, last, _ = rows.indices(len(self))
            return self._filled(np.empty((max(0, last - first), self.shape[1]), self.dtype), first)
        places = np.arange(len(self))[rows]
        found = np.empty((len(places), self.shape[1]), self.dtype)
        for row, place in zip(found, places.tolist(), strict=True):
            self._filled(row, place)
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype)

    @property
    def _row(self) -> int:
        return self.shape[1] * self.dtype.itemsize

    def _filled(self, rows: Array, first: int) -> Array:
        """Some rows' room, filled with what is in the file from a row on."""
        room = rows.reshape(-1).view(np.uint8)
        for at in range(0, len(room), LONGEST):
            part = room[at : at + LONGEST].data
            place = self._start + first * self._row + at
            if os.preadv(self._file, [part], place) < len(part):
                what = "the file was cut while it was read"
                raise InputError(what, self._path, "make it again with the stage that writes it")
        return rows
