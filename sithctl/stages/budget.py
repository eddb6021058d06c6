"""How much memory a pursuit may take, and whether it can hold its dictionary in it."""

from __future__ import annotations

import math
import resource
import sys
from pathlib import Path

from sithctl.errors import InputError
from sithctl.pursuit.certify import GATHERED, PAIRS
from sithctl.pursuit.dictionary import NUMBERS, READ
from sithctl.pursuit.screen import SCORES

SPARE = 1 << 28  # bytes beyond a pool's own that holding its dictionary may take


def holds(numbers: int, itemsize: int, pool: int, working: int, most: int | None) -> bool:
    """Whether the rounded dictionary is kept in memory, or made anew in every pass.

    Args:
        numbers: M · d.
        itemsize: bytes of one in the products' type.
        pool: bytes of the embeddings as they are stored.
        working: bytes that the rest takes.
        most: bytes that the process may have in all; None for as much as the pool has.

    Raises:
        InputError: it may have too little even to read the dictionary a block at a time.
    """
    wanted = numbers * itemsize
    if most is None:
        return wanted <= pool + SPARE
    left = most - resident()
    if left < working:
        least = math.ceil((resident() + working) / 1e6)
        what = f"--max-memory {most / 1e6:.0f}M is too little"
        raise InputError(what, None, f"this work takes at least {least}M")
    return wanted + working <= left


def working_set(targets: int, width: int, sparsity: int) -> int:
    """Bytes, about, that a pursuit of some targets takes beside its dictionary."""
    rows = targets * width * (4 * 8 + 4 * sparsity)  # the query and copies, and the concepts
    gathered = GATHERED * (4 + 3 * 8)
    listed = 6 * PAIRS * 8
    blocks = SCORES["cpu"] * 4 * 2 + READ * 4 + NUMBERS * (4 + 3 * 8)
    return rows + gathered + listed + blocks


def resident() -> int:
    """Bytes that the process has in memory now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # no such file system: the most that it had
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024)
    return pages * resource.getpagesize()
