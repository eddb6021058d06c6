"""The search for the best concept, against the published algorithm: python -m tests.bench.search.

Every figure is a ratio of runs that take turns, the best of several: on a busy machine give
--threads 1, where nobody waits for another thread, and the processor's time is what counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.optimize
import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.pursuit import sparse_code
from sithctl.pursuit.screen import SCORES, fast_bfloat16
from sithctl.pursuit.search import Tally
from tests.bench.published import published_comp

SPARSITY, COHERENCE = 5, 0.3
WANTED = {"bfloat16": 15.0, "float32": 2.5, "rate": 0.6}


def random_rows(n: int, d: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1)


def clustered_rows(n: int, d: int, seed: int) -> Tensor:
    """As pools are: each row a few of 400 shared factors, some noise; centred."""
    factors = random_rows(400, d, 0)
    generator = torch.Generator().manual_seed(seed)
    picked = torch.randint(0, 400, (n, 4), generator=generator)
    rows = sum(factors[picked[:, i]] / (1 + i / 2) for i in range(4)) + 0.5 * random_rows(
        n, d, seed + 1
    )
    return F.normalize(rows - rows.mean(0), dim=1)


DATA = {"random": random_rows, "clustered": clustered_rows}


def brute_force(targets: Tensor, dictionary: Tensor) -> Tensor:
    """(N, K) concepts in float64: all scores, SciPy's NNLS; −1 where a coefficient is 0."""
    parts = dictionary.split(8192)
    wide, everyone = targets.double(), torch.arange(len(targets))
    chosen = torch.zeros(len(targets), 0, dtype=torch.long)
    weights = torch.zeros(len(targets), 0, dtype=torch.float64)
    for step in range(SPARSITY):
        concepts = dictionary[chosen].double()
        query = wide - (weights[:, :, None] * concepts).sum(1)
        if step:
            query += COHERENCE * concepts.mean(1)
        scores = torch.cat([query @ part.double().T for part in parts], 1)
        scores[everyone[:, None], chosen] = -torch.inf
        chosen = torch.cat([chosen, scores.argmax(1, keepdim=True)], 1)
        rows = zip(dictionary[chosen].double().numpy(), wide.numpy(), strict=True)
        weights = torch.from_numpy(np.stack([scipy.optimize.nnls(a.T, b)[0] for a, b in rows]))
    return torch.where(weights > 1e-9, chosen, -1)


def same_concepts(ours: Tensor, expected: Tensor) -> float:
    """The share of targets explained by the same set of concepts."""
    return float((ours.sort(1).values == expected.sort(1).values).all(1).double().mean())


def products(targets: Tensor, low: Tensor) -> None:
    """The floor: a bare product of the same blocks for each step."""
    query = targets.to(low.dtype)
    for _ in range(SPARSITY):
        for block in low.split(SCORES // min(1024, len(targets))):
            torch.mm(block, query.T)


def best_of(runs: dict[str, Callable[[], object]], times: int, clock: str) -> dict[str, float]:
    now = time.process_time if clock == "processor" else time.perf_counter
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(times):
        for name, run in runs.items():
            start = now()
            run()
            best[name] = min(best[name], now() - start)
    return best


def measure(name: str, arguments: argparse.Namespace) -> dict[str, object]:
    dictionary = DATA[name](arguments.concepts, arguments.width, 10)
    targets = DATA[name](arguments.targets, arguments.width, 20)
    low = dictionary.bfloat16()
    tallies: list[Tally] = []
    codes = sparse_code(targets, dictionary, screen=True, report=tallies.append)
    clock = "processor" if arguments.threads == 1 else "wall"
    seconds = best_of(
        {
            "bfloat16": lambda: sparse_code(targets, dictionary, screen=True),
            "bfloat16 products": lambda: products(targets, low),
            "float32": lambda: sparse_code(targets, dictionary, screen=False),
            "float32 products": lambda: products(targets, dictionary),
        },
        arguments.times,
        clock,
    )
    published = best_of({"": lambda: published_comp(targets, dictionary)}, 2, clock)[""]
    tally = tallies[0]
    return {
        "data": name,
        "clock": clock,
        "seconds": {"published": published, **seconds},
        "bfloat16": published / seconds["bfloat16"],
        "float32": published / seconds["float32"],
        "floor": published / seconds["bfloat16 products"],
        "rate": seconds["bfloat16 products"] / seconds["bfloat16"],
        "rescored": tally.rescored / tally.screened,
        "certified": tally.certified / tally.screened,
        "identical": same_concepts(codes.indices, brute_force(targets, dictionary)),
    }


def table(results: list[dict[str, object]], fast: bool) -> str:
    lines = [f"{'search for the best concept':34}" + "".join(f"{r['data']!s:>12}" for r in results)]
    rows = [
        ("× published, bfloat16", "bfloat16", "{:.1f}", WANTED["bfloat16"] if fast else None),
        ("× published, float32", "float32", "{:.1f}", WANTED["float32"]),
        ("× published, products alone", "floor", "{:.1f}", None),
        ("rate of the bare products", "rate", "{:.0%}", WANTED["rate"] if fast else None),
        ("scored again in float32", "rescored", "{:.2e}", None),
        ("scored again in float64", "certified", "{:.2e}", None),
        ("as float64 brute force", "identical", "{:.1%}", 1.0),
    ]
    for label, key, form, wanted in rows:
        figures = "".join(f"{form.format(r[key]):>12}" for r in results)
        lines.append(
            f"{label:34}{figures}" + (f"   wanted {form.format(wanted)}" if wanted else "")
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--concepts", type=int, default=102_400)
    parser.add_argument("--targets", type=int, default=512)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    fast = fast_bfloat16(torch.device("cpu"))
    results = [measure(name, arguments) for name in DATA]
    print(table(results, fast))
    document = {"threads": arguments.threads, "fast_bfloat16": fast, "search": results}
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    else:
        print(json.dumps(document))


if __name__ == "__main__":
    main()
