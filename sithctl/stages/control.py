"""What an edit is held against: another of its size, at random."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from sithctl.kinds import Array, Change

DRAWS = 300
Place = tuple[int, int, int]


def at_random(changes: Sequence[Change], sigma: Mapping[int, Array], seed: int) -> list[Change]:
    """As many vectors of each layer, of about the same energy, by the same factors.

    Of ``DRAWS`` draws the one is taken whose Σσ² over all changed vectors is nearest.

    Args:
        changes: the edit.
        sigma: (heads, vectors) singular values of each layer that it touches.
        seed: of the draws.
    """
    rng = random.Random(seed)
    layers = sorted({change.layer for change in changes})
    scales = {n: [c.scale for c in changes if c.layer == n] for n in layers}
    wanted = energy((c.place for c in changes), sigma)
    draws = [_draw(scales, sigma, rng) for _ in range(DRAWS)]
    best = min(draws, key=lambda places: abs(energy(places, sigma) - wanted))
    factors = [scale for n in layers for scale in scales[n]]
    why = f"at random, seed {seed}"
    return [Change(*place, f, why) for place, f in zip(best, factors, strict=True)]


def energy(places: Iterable[Place], sigma: Mapping[int, Array]) -> float:
    """Σσ² of some vectors."""
    return sum(float(sigma[layer][head, i]) ** 2 for layer, head, i in places)


def _draw(
    scales: Mapping[int, list[float]], sigma: Mapping[int, Array], rng: random.Random
) -> list[Place]:
    chosen: list[Place] = []
    for layer, factors in scales.items():
        heads, rank = sigma[layer].shape
        places = [(layer, h, i) for h in range(heads) for i in range(rank)]
        chosen += rng.sample(places, len(factors))
    return chosen
