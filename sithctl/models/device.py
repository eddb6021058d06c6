"""Whether a device is there, and can do what is asked of it."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

from sithctl.errors import InputError

T = TypeVar("T")


def check_device(name: str, *, double: bool = False) -> torch.device:
    """The device of that name.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1``, ….
        double: whether float64 is needed.

    Raises:
        InputError: there is none, or it lacks float64.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError("no such device here", name, "use --device cpu") from error
    if double and device.type == "mps":
        raise InputError("this needs float64, which mps lacks", name, "use --device cpu")
    return device


class Memory:
    """How many rows the device's memory takes at a time, once that is known."""

    def __init__(self) -> None:
        self.fits: int | None = None

    def within(self, work: Callable[[int], T], size: int) -> T:
        """``work(size)``; where the memory is too small, with half of it, from then on.

        Raises:
            InputError: it is too small even for 1.
        """
        while True:
            size = min(size, self.fits or size)
            try:
                return work(size)
            except torch.OutOfMemoryError:
                pass  # and out of the block: the error holds the frames whose tensors fill it
            self._halve(size)

    def _halve(self, size: int) -> None:
        if size == 1:
            what = "the device's memory is too small even for a batch of 1"
            raise InputError(what, None, "use --device cpu")
        if self.fits is None:
            warnings.warn(
                f"the device's memory is too small for batches of {size}: smaller ones were taken",
                stacklevel=2,
            )
        self.fits = size // 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
