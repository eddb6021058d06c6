"""Dictionaries: unit rows, in memory or read where they are wanted; and, made ready for products,
rounded and measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sithctl.errors import InputError

NUMBERS = 1 << 19  # of the dictionary read and rounded at a time: so many stay in cache
READ = 1 << 22  # of a block that is not held
LARGE = 1e30  # norms beyond which bfloat16 may round to infinity


@runtime_checkable
class Rows(Protocol):
    """A dictionary's rows, wherever they are.

    Attributes:
        shape: (M, d).
        device: where products with them are made.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def device(self) -> torch.device: ...

    def block(self, rows: slice) -> Tensor:
        """(m, d) float32, of consecutive rows."""

    def take(self, indices: Tensor) -> Tensor:
        """(n, d) float32, of any rows: the same bytes as in a block."""


class Held:
    """Rows of a (M, d) tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.float()
        self.shape: tuple[int, ...] = tuple(tensor.shape)
        self.device = tensor.device

    def block(self, rows: slice) -> Tensor:
        return self.tensor[rows]

    def take(self, indices: Tensor) -> Tensor:
        return self.tensor[indices]


@dataclass(frozen=True)
class Dictionary:
    """Rows made ready for products.

    Attributes:
        rows: as they are.
        dtype: of the products.
        norms: (M,) float64, at least ‖γ‖.
        low: (M, d), the rows rounded to ``dtype``; None where they are read and rounded anew in
            every pass, which needs no memory.
    """

    rows: Rows
    dtype: torch.dtype
    norms: Tensor
    low: Tensor | None

    def __len__(self) -> int:
        return self.rows.shape[0]

    @property
    def screened(self) -> bool:
        return self.dtype != torch.float32

    def block(self, rows: slice) -> Tensor:
        """(m, d) in ``dtype``, of consecutive rows."""
        return _rounded(self.rows, rows, self.dtype) if self.low is None else self.low[rows]

    @property
    def longest(self) -> int:
        """Rows that a block may have: all where they are held, what fits where they are read."""
        return len(self) if self.low is not None else max(1, READ // self.rows.shape[1])

    def plain(self) -> Dictionary:
        """The same for products in float32."""
        held = self.rows.block(slice(None)) if isinstance(self.rows, Held) else None
        return Dictionary(self.rows, torch.float32, self.norms, held)


def ready(rows: Rows, dtype: torch.dtype, *, hold: bool = True) -> Dictionary:
    """Rows rounded and measured.

    Args:
        rows: unit rows, or nearly.
        dtype: of the products.
        hold: keep the rounded rows.

    Raises:
        InputError: NaN or infinite values.
    """
    size, width = rows.shape
    norms = torch.zeros(size, dtype=torch.float64, device=rows.device)
    own = rows.tensor if isinstance(rows, Held) and dtype == torch.float32 else None
    low = None
    if own is None and hold:
        low = torch.empty(size, width, dtype=dtype, device=rows.device)
    for part in batches(size, max(1, NUMBERS // width)):
        block = rows.block(part)
        norms[part] = _norms(block)
        if low is not None:
            low[part] = block
    if not bool(norms.max().isfinite()):  # NaN is the largest, too
        raise InputError("NaN or infinite values in the dictionary")
    # The norms themselves are sums of d rounded squares.
    norms *= 1 + (width + 4) * torch.finfo(torch.float32).eps
    made = Dictionary(rows, dtype, norms, low if own is None else own)
    return made if float(norms.max()) < LARGE else made.plain()


def fast_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 beat those in float32 here: elsewhere they are emulated."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    flags = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # private, so perhaps absent
    return any(getattr(torch.cpu, flag, bool)() for flag in flags)


def batches(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _rounded(rows: Rows, wanted: slice, dtype: torch.dtype) -> Tensor:
    """A block in another type, never all of it in float32."""
    width = rows.shape[1]
    low = torch.empty(wanted.stop - wanted.start, width, dtype=dtype, device=rows.device)
    for part in batches(len(low), max(1, NUMBERS // width)):
        low[part] = rows.block(slice(wanted.start + part.start, wanted.start + part.stop))
    return low


def _norms(rows: Tensor) -> Tensor:
    """‖row‖ in float32; in float64 where the squares would leave its range."""
    norms = torch.linalg.vector_norm(rows, dim=1)
    if bool(((norms > 1e-15) & (norms < 1e18)).all()):
        return norms.double()
    return torch.linalg.vector_norm(rows.double(), dim=1)
