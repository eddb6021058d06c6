"""The search for the best concept, against the published algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.pursuit import sparse_code
from sithctl.pursuit.dictionary import Dictionary, Held, fast_bfloat16
from sithctl.pursuit.screen import SCORES, Scan, full_accumulation
from sithctl.pursuit.search import Tally, prepare
from tests.bench.figures import Figure, best_of, clock, seconds
from tests.bench.published import published_comp

SPARSITY, COHERENCE = 5, 0.3


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
        for block in low.split(SCORES["cpu"] // min(1024, len(targets))):
            torch.mm(block, query.T)


def scans(targets: Tensor, ready: Dictionary) -> None:
    """The same products as the search makes them: with their maxima, and the candidates listed."""
    taken = torch.zeros(len(targets), 0, dtype=torch.long)
    block = SCORES["cpu"] // min(1024, len(targets))
    with full_accumulation():
        for _ in range(SPARSITY):
            Scan(targets.double(), ready, 1, taken).candidates(1024, block, lambda *_: None)


@dataclass(frozen=True)
class Size:
    """M concepts, N targets, d features, and how often each way is timed."""

    concepts: int = 102_400
    targets: int = 512
    width: int = 768
    times: int = 5


def compare(name: str, size: Size) -> dict[str, Any]:
    dictionary = DATA[name](size.concepts, size.width, 10)
    targets = DATA[name](size.targets, size.width, 20)
    ready = prepare(Held(dictionary), len(targets), True)
    low = ready.block(slice(None))
    tallies: list[Tally] = []
    codes = sparse_code(targets, dictionary, screen=True, report=tallies.append)
    took = best_of(
        {
            "bfloat16": lambda: sparse_code(targets, dictionary, screen=True),
            "prepared": lambda: sparse_code(targets, ready),
            "scans": lambda: scans(targets, ready),
            "bfloat16 products": lambda: products(targets, low),
            "float32": lambda: sparse_code(targets, dictionary, screen=False),
            "float32 products": lambda: products(targets, dictionary),
        },
        size.times,
        clock(),
    )
    published = best_of({"": lambda: published_comp(targets, dictionary)}, 2, clock())[""]
    tally = tallies[0]
    return {
        "data": name,
        "seconds": {"published": published, **took},
        "bfloat16": published / took["bfloat16"],
        "float32": published / took["float32"],
        "rate": took["bfloat16 products"] / took["scans"],
        "prepared rate": took["bfloat16 products"] / took["prepared"],
        "whole rate": took["bfloat16 products"] / took["bfloat16"],
        "rescored": tally.rescored / tally.screened,
        "identical": same_concepts(codes.indices, brute_force(targets, dictionary)),
    }


def figures(result: dict[str, Any], size: Size) -> list[Figure]:
    """Of one kind of data: both arithmetics, the rate of the products, and what was chosen."""
    fast = fast_bfloat16(torch.device("cpu"))
    of = f"M {size.concepts}, N {size.targets}, d {size.width}, {result['data']}"
    took = result["seconds"]
    published = seconds(took["published"])
    bare = seconds(took["bfloat16 products"])
    ours = {kind: seconds(took[kind]) for kind in ("bfloat16", "float32")}
    found = []
    wanted = {"bfloat16": 15.0 if fast else None, "float32": 2.5}
    for kind, least in wanted.items():
        found.append(
            Figure(f"decompose, {kind}", of, ours[kind], published, result[kind], "×", least)
        )
    return [
        *found,
        Figure(
            "products, maxima, candidates",
            of,
            seconds(took["scans"]),
            f"{bare} (bare products)",
            result["rate"],
            "×",
            0.6 if fast else None,
        ),
        Figure(
            "all of it but rounding",
            of,
            seconds(took["prepared"]),
            f"{bare} (bare products)",
            result["prepared rate"],
            "×",
            None,
        ),
        Figure(
            "all of it",
            of,
            ours["bfloat16"],
            f"{bare} (bare products)",
            result["whole rate"],
            "×",
            None,
        ),
        Figure(
            "concepts chosen",
            of,
            f"{result['rescored']:.1e} rescored",
            "float64 brute force",
            100 * result["identical"],
            "%",
            100.0,
        ),
    ]


def measure(size: Size | None = None) -> list[Figure]:
    size = size or Size()
    return [figure for name in DATA for figure in figures(compare(name, size), size)]
