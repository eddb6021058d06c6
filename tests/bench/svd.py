"""``thin_svd`` of a ViT-L layer, against the SVD of the dense products W = A B.

The dense way takes a minute a layer: it is measured on a few heads and scaled to sixteen.
"""

from __future__ import annotations

import torch

from sithctl.stages.svd import one_thread, svd_of
from tests.bench.figures import Figure, best_of, clock, seconds

HEADS, WIDTH, RANK = 16, 1024, 64
DENSE = 2  # heads measured the dense way


def measure() -> list[Figure]:
    generator = torch.Generator().manual_seed(0)
    shape = (HEADS, WIDTH, RANK)
    reader = torch.randn(shape, generator=generator, dtype=torch.float64)
    writer = torch.randn(shape, generator=generator, dtype=torch.float64).mT

    def dense() -> None:
        for head in range(DENSE):
            torch.linalg.svd(reader[head] @ writer[head])

    thin, whole = "thin", "whole"
    best = best_of({thin: lambda: svd_of(reader, writer), whole: dense}, 3, clock())
    with one_thread():  # whichever number of threads serves the dense way better
        alone = best_of({whole: dense}, 1, clock())[whole]
    other = min(best[whole], alone) * HEADS / DENSE
    return [
        Figure(
            "svd",
            f"{HEADS} heads of {WIDTH} × {RANK}, float64",
            seconds(best[thin]),
            f"{seconds(other)} (dense, from {DENSE} heads)",
            other / best[thin],
            "×",
            60.0,
        )
    ]
