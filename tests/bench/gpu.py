"""The search at the whole size on a GPU, beside the bare products of its blocks in the same run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from sithctl.pursuit import sparse_code
from sithctl.pursuit.dictionary import Held
from sithctl.pursuit.screen import SCORES
from sithctl.pursuit.search import prepare
from tests.bench.figures import Figure, best_of, seconds
from tests.bench.search import SPARSITY, Size, random_rows, same_concepts

WHOLE = Size(1_350_000, 4_096, 768, 3)


def waited(run: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """A run that ends when the device has done it."""

    def whole() -> None:
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return whole


def products(targets: Tensor, low: Tensor, scores: int) -> None:
    query = targets.to(low.dtype)
    for _ in range(SPARSITY):
        for block in low.split(scores // len(targets)):
            torch.mm(block, query.T)


def measure(size: Size = WHOLE, name: str = "cuda") -> list[Figure]:
    if name == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU here: `make bench` measures the processor")
    device = torch.device(name)
    dictionary = random_rows(size.concepts, size.width, 10).to(device)
    targets = random_rows(size.targets, size.width, 20).to(device)
    ready = prepare(Held(dictionary), size.targets, True)
    low, scores = ready.block(slice(None)), SCORES[device.type]
    batch = size.targets
    took = best_of(
        {
            "ours": waited(lambda: sparse_code(targets, ready, batch_size=batch), device),
            "products": waited(lambda: products(targets, low, scores), device),
        },
        size.times,
        time.perf_counter,
    )
    some = targets[:64]
    exact = sparse_code(some, dictionary, screen=False).indices
    same = 100 * same_concepts(sparse_code(some, ready).indices, exact)
    of = f"M {size.concepts:,}, N {size.targets:,}, d {size.width}, {_called(device)}"
    times = took["ours"] / took["products"]
    bare = f"{seconds(took['products'])} (bare products)"
    return [
        Figure("decompose", of, seconds(took["ours"]), bare, times, "×", 4.0, False),
        Figure("concepts as in float32", of, "bfloat16, certified", "float32", same, "%", 100.0),
    ]


def _called(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
