"""``decompose`` of the whole size through the command: seconds, and peak memory beyond what
importing torch takes, of a float16 pool on disk; and with half of the memory that takes."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

from sithctl.kinds import Identity, Pool
from sithctl.kinds.base import canonical
from tests.bench import vit_l
from tests.bench.figures import Figure, seconds
from tests.peak import peak

SITHCTL = (sys.executable, "-m", "sithctl")
CONCEPTS, WIDTH = 1_350_000, 768


def write_pool(path: Path, concepts: int) -> None:
    """A pool of random float16 embeddings, a block at a time."""
    generator = np.random.default_rng(0)
    text = h5py.string_dtype("utf-8")
    empty = Pool(Identity(), (), np.zeros((concepts, 0), np.float16), [""] * concepts)
    document = {**empty.document(), "features": WIDTH, "digest": f"{concepts:032d}"}
    with h5py.File(path, "w") as file:
        file.attrs.create("sithctl", canonical(document), dtype=text)
        names = np.array([f"concept {i}" for i in range(concepts)], dtype=object)
        file.create_dataset("concepts", data=names, dtype=text)
        table = file.create_dataset("embeddings", (concepts, WIDTH), np.float16)
        for start in range(0, concepts, 1 << 15):
            rows = min(1 << 15, concepts - start)
            table[start : start + rows] = generator.standard_normal((rows, WIDTH), np.float32)


def measure(concepts: int = CONCEPTS) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vit_l.make(folder / "model", text_layers=0, num_hidden_layers=4)
        heads, spectra, pool = (str(folder / n) for n in ("heads", "spectra", "pool"))
        peak((*SITHCTL, "fold", str(folder / "model"), "-o", heads))
        peak((*SITHCTL, "svd", heads, "-o", spectra))
        write_pool(Path(pool), concepts)
        command = (*SITHCTL, "decompose", spectra, "--pool", pool, "--mean", "none", "--pole", "+")
        _, imports = peak((sys.executable, "-c", "import torch"))
        took, held = peak((*command, "-o", str(folder / "held")))
        most = imports + (held - imports) // 2
        slower, read = peak((*command, "-o", str(folder / "read"), "--max-memory", str(most)))
        disk = Path(pool).stat().st_size
        same = (folder / "held").read_bytes() == (folder / "read").read_bytes()
    of = f"M {concepts:,}, N 4,096, d {WIDTH}, K 5, float16 on disk"
    ours = f"{(held - imports) / 1e9:.2f} GB beyond torch"
    against = f"the pool's {disk / 1e9:.2f} GB"
    beyond = (held - imports - disk) / 1e6
    less = f"{(read - imports) / 1e9:.2f} GB, {seconds(slower)}"
    codes = "the same codes" if same else "OTHER CODES"
    bound = 1.0 if same else 0.0
    return [
        Figure("decompose, through the command", of, seconds(took), "", took, " s", None, False),
        Figure("decompose's memory", of, ours, against, beyond, " MB beyond it", 512, False),
        Figure("--max-memory of half of it", of, less, codes, read / most, "×", bound, False),
    ]
