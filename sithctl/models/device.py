"""Whether a device is there, and can do what is asked of it."""

from __future__ import annotations

import torch

from sithctl.errors import InputError


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
