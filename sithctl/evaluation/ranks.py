"""Where among all candidates a query's right answer stands."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sithctl.kinds import Array

BLOCK = 1 << 24  # similarities in memory at a time
NEVER = -1  # the key of a candidate that answers no query


@dataclass(frozen=True)
class Found:
    """What a search finds.

    Attributes:
        ranks: (queries,) int64, how many wrong candidates stand before the best right one.
        safe: (queries,) bool, whether a safe candidate stands first; all where all are safe.
    """

    ranks: Array
    safe: Array


def search(
    queries: Tensor, keys: Array, candidates: Tensor, answers: Array, safe: Array | None = None
) -> Found:
    """Rank candidates by their inner product with each query.

    A candidate is right where its answer is the query's key. Ties count against it: a model that
    sees no difference finds nothing.

    Args:
        queries: (n, features).
        keys: (n,) int64, what is looked for.
        candidates: (m, features).
        answers: (m,) int64, what each is.
        safe: (m,) bool, which of them are safe; all where it is not given.
    """
    wanted, offered = torch.from_numpy(keys), torch.from_numpy(answers)
    good = torch.ones(len(offered), dtype=torch.bool) if safe is None else torch.from_numpy(safe)
    ranks, first = [], []
    at_once = max(1, BLOCK // len(candidates))
    for start in range(0, len(queries), at_once):
        near = queries[start : start + at_once] @ candidates.T
        right = wanted[start : start + at_once, None] == offered
        best = near.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
        ranks.append(((near >= best) & ~right).sum(1))
        bad = near.masked_fill(good, -torch.inf).amax(1)
        first.append(near.masked_fill(~good, -torch.inf).amax(1) > bad)
    return Found(torch.cat(ranks).numpy(), torch.cat(first).numpy())
