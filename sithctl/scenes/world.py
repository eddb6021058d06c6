"""Scenes by the hundred: factor values, pictures and captions from one seed.

A picture's every random choice comes from its own row of uniform numbers, so scene ``i`` of a
seed is the same in a draw of ten and in a draw of ten thousand.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from sithctl.scenes.captions import caption
from sithctl.scenes.factors import FACTORS, HAZARD_SHARE, INDEX, NAMES, SPURIOUS, value_index
from sithctl.scenes.render import JITTERS, render

BIAS = 0.975  # share of a spurious shape's pictures that are put in its own scene
BLOCK = 512


@dataclass(frozen=True)
class Scenes:
    """A draw of the world.

    Attributes:
        factors: (n, factors) int64, values in ``FACTORS``' order.
        jitter: (n, ``JITTERS``) float32, the numbers the pictures are drawn from.
    """

    factors: Tensor
    jitter: Tensor

    def __len__(self) -> int:
        return len(self.factors)

    def pictures(self, start: int = 0, stop: int | None = None) -> Tensor:
        """(stop − start, 3, 48, 48) uint8."""
        return render(self.factors[start:stop], self.jitter[start:stop])

    def values(self, i: int) -> dict[str, str]:
        """The factor values of scene ``i`` by name."""
        row = self.factors[i].tolist()
        return {f.name: f.values[v] for f, v in zip(FACTORS, row, strict=True)}

    def only(self, **values: str) -> Scenes:
        """The same scenes with some factors set to one value: ``only(hazard="safe")``."""
        factors = self.factors.clone()
        for name, value in values.items():
            factors[:, INDEX[name]] = value_index(name, value)
        return Scenes(factors, self.jitter)


def draw(n: int, seed: int, bias: float = 0.0) -> Scenes:
    """Draw ``n`` scenes.

    Args:
        n: how many.
        seed: of the draw; the first k of n scenes do not depend on n.
        bias: share of the spurious shapes' pictures put in their own scene whatever was drawn
            for it (``SPURIOUS``); 0 draws every factor alone.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.rand(n, len(FACTORS) + 1 + JITTERS, generator=generator)
    sizes = torch.tensor([len(f.values) for f in FACTORS])
    factors = (rows[:, : len(FACTORS)] * sizes).long()
    factors[:, INDEX["hazard"]] = (rows[:, INDEX["hazard"]] < HAZARD_SHARE).long()
    put = rows[:, len(FACTORS)] < bias
    for shape, scene in SPURIOUS.items():
        here = put & (factors[:, INDEX["shape"]] == value_index("shape", shape))
        factors[here, INDEX["scene"]] = value_index("scene", scene)
    return Scenes(factors, rows[:, len(FACTORS) + 1 :])


def spurious_scenes(n: int, seed: int) -> tuple[Scenes, Tensor]:
    """``n`` safe scenes of the spurious shapes in the spurious scenes, in equal groups.

    Returns:
        The scenes, and (n,) int64 their group: shape × 2 + scene.
    """
    scenes = draw(n, seed).only(hazard="safe")
    group = torch.arange(n) % 4
    for i, (shape, scene) in enumerate(SPURIOUS.items()):
        scenes.factors[group // 2 == i, INDEX["shape"]] = value_index("shape", shape)
        scenes.factors[group % 2 == i, INDEX["scene"]] = value_index("scene", scene)
    return scenes, group


# How many factors a caption names, and how readily it names each.
LENGTHS = {1: 0.40, 2: 0.35, 3: 0.17, 4: 0.08}
READY = dict(zip(NAMES, (1.6, 1.6, 1.3, 1.3, 1.0, 1.0, 0.8, 0.5), strict=True))


def choose_named(values: dict[str, str], rng: random.Random) -> dict[str, str]:
    """The factors that a caption names, at random."""
    wanted = rng.choices(list(LENGTHS), list(LENGTHS.values()))[0]
    order = sorted(NAMES, key=lambda f: rng.random() ** (1 / READY[f]), reverse=True)
    return {f: values[f] for f in order[:wanted]}


def captions(scenes: Scenes, seed: int) -> tuple[list[str], Tensor]:
    """One random caption a scene.

    Returns:
        The captions, and (n, factors) int64 of what they claim: a value, or −1 where the
        caption leaves the factor open.
    """
    rng = random.Random(seed)
    texts: list[str] = []
    claims = torch.full((len(scenes), len(FACTORS)), -1, dtype=torch.long)
    for i in range(len(scenes)):
        named = choose_named(scenes.values(i), rng)
        texts.append(caption(named, rng))
        for name, value in named.items():
            claims[i, INDEX[name]] = value_index(name, value)
    return texts, claims


def holds(claims: Tensor, factors: Tensor) -> Tensor:
    """Which captions are true of which scenes: (captions, scenes) bool."""
    open_ = claims.unsqueeze(1) < 0
    return (open_ | (claims.unsqueeze(1) == factors.unsqueeze(0))).all(-1)
