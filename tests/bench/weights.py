"""``fold | svd`` of all layers of a ViT-L/14 on disk: time, and each stage's peak memory beyond
what importing torch takes."""

from __future__ import annotations

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
        stages = {
            "fold": (*SITHCTL, "fold", str(file.parent), "-o", heads, "--force"),
            "svd": (*SITHCTL, "svd", heads, "-o", spectra, "--force"),
        }
        found = {stage: [peak(command) for _ in range(times)] for stage, command in stages.items()}
        total, base = file.stat().st_size, peak((sys.executable, "-c", "import torch"))[1]
    took = {stage: min(t for t, _ in runs) for stage, runs in found.items()}
    both = sum(took.values())
    parts = ", ".join(f"{stage} {seconds(t)}" for stage, t in took.items())
    figures = [Figure("fold, then svd", SIZE, parts, "", both, " s", 15.0, False)]
    for stage, runs in found.items():
        size = max(size for _, size in runs)
        ours = f"{size / 1e9:.2f} GB, {(size - base) / 1e9:.2f} beyond torch"
        against = f"the file's {total / 1e9:.2f} GB"
        share = (size - base) / total
        figures.append(Figure(f"{stage}'s memory", SIZE, ours, against, share, "×", 0.5, False))
    return figures
