"""``fold | svd`` of all layers of a ViT-L/14 on disk: time, and each stage's peak memory beyond
what importing torch takes.

The time is of both in a pipe; the memory of each alone, for a pipe's is that of the larger.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from pathlib import Path

from tests.bench import vit_l
from tests.bench.figures import Figure, seconds
from tests.peak import peak

SITHCTL = (sys.executable, "-m", "sithctl")
SIZE = "24 layers of ViT-L/14, float32"


def measure(times: int = 2) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = vit_l.make(folder / "model")
        heads, spectra = str(folder / "heads"), str(folder / "spectra")
        fold = (*SITHCTL, "fold", str(file.parent))
        svd = (*SITHCTL, "svd", "-o", spectra, "--force")
        piped = ("sh", "-c", f"{shlex.join(fold)} | {shlex.join(svd)}")
        took = min(peak(piped)[0] for _ in range(times))
        held = {
            "fold": peak((*fold, "-o", heads))[1],
            "svd": peak((*svd, heads))[1],
        }
        total, base = file.stat().st_size, peak((sys.executable, "-c", "import torch"))[1]
    figures = [Figure("fold | svd", SIZE, seconds(took), "", took, " s", 15.0, False)]
    for stage, size in held.items():
        ours = f"{size / 1e9:.2f} GB, {(size - base) / 1e9:.2f} beyond torch"
        against = f"the file's {total / 1e9:.2f} GB"
        share = (size - base) / total
        figures.append(Figure(f"{stage}'s memory", SIZE, ours, against, share, "×", 0.5, False))
    return figures
