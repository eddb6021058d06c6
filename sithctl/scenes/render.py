"""Pictures of the rendered world: signed-distance shapes on painted scenes, in batches.

A picture is a function of its factor values and of one row of uniform numbers (its jitter), so
the same row gives the same picture whatever batch it is drawn in.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sithctl.scenes.factors import FACTORS, INDEX
from sithctl.scenes.shapes import PATTERNS, SHAPES

SIDE = 48
JITTERS = 48  # uniform numbers a picture uses
OBJECTS = 3  # the most objects a picture holds

PALETTE = torch.tensor(
    [
        [0.86, 0.08, 0.10],  # red
        [1.00, 0.52, 0.05],  # orange
        [1.00, 0.90, 0.12],  # yellow
        [0.10, 0.68, 0.16],  # green
        [0.10, 0.82, 0.84],  # cyan
        [0.10, 0.22, 0.90],  # blue
        [0.50, 0.12, 0.78],  # violet
        [1.00, 0.45, 0.74],  # pink
        [0.97, 0.97, 0.95],  # white
        [0.05, 0.05, 0.06],  # black
    ]
)
BLACK = FACTORS[INDEX["colour"]].values.index("black")

# Radius in pixels: base and range, by (size, count). Sizes do not overlap across counts.
RADIUS = torch.tensor(
    [
        [[8.4, 1.4], [7.4, 1.0], [7.0, 0.8]],  # small: one, two, three
        [[14.0, 3.0], [11.0, 1.0], [10.0, 0.6]],  # large
    ]
)


# ── scenes: (pictures, 3, side, side) backgrounds from jitter ───────────────────────────────


def _paint(mask: Tensor, colour: tuple[float, float, float], under: Tensor) -> Tensor:
    tint = torch.tensor(colour).view(1, 3, 1, 1)
    alpha = mask.to(under.dtype).unsqueeze(1)
    return under + alpha * (tint - under)


def _flat(n: int, colour: tuple[float, float, float]) -> Tensor:
    return torch.tensor(colour).view(1, 3, 1, 1).expand(n, 3, SIDE, SIDE)


def _forest(x: Tensor, y: Tensor, u: Tensor) -> Tensor:
    picture = _flat(len(u), (0.10, 0.30, 0.12))
    leaves = torch.sin(x * 0.9 + 9 * u[:, 0]) * torch.sin(y * 0.8 + 9 * u[:, 1]) > 0.25
    picture = _paint(leaves, (0.20, 0.46, 0.16), picture)
    gap = 10 + 3 * u[:, 2]
    trunk = ((x + 13 * u[:, 3]) % gap - gap / 2).abs() < 1.4
    return _paint(trunk & (y > 6), (0.35, 0.21, 0.10), picture)


def _ocean(x: Tensor, y: Tensor, u: Tensor) -> Tensor:
    horizon = 12 + 6 * u[:, 0]
    picture = _paint(y > horizon, (0.07, 0.36, 0.66), _flat(len(u), (0.66, 0.86, 0.97)))
    swell = y + 1.4 * torch.sin(x * 0.55 + 7 * u[:, 1])
    foam = (swell + 7 * u[:, 2]) % 7 < 1.3
    return _paint(foam & (y > horizon), (0.62, 0.84, 0.94), picture)


def _desert(x: Tensor, y: Tensor, u: Tensor) -> Tensor:
    picture = _flat(len(u), (0.98, 0.86, 0.62))
    far = y > 18 + 3 * torch.sin(x * 0.13 + 6 * u[:, 0])
    near = y > 31 + 4 * torch.sin(x * 0.11 + 6 * u[:, 1])
    picture = _paint(far, (0.90, 0.69, 0.38), picture)
    return _paint(near, (0.78, 0.54, 0.26), picture)


def _snow(x: Tensor, y: Tensor, u: Tensor) -> Tensor:
    picture = _flat(len(u), (0.70, 0.78, 0.86))
    hill = y > 27 + 3 * torch.sin(x * 0.12 + 6 * u[:, 0])
    picture = _paint(hill, (0.90, 0.94, 0.98), picture)
    sx, sy = x + 11 * u[:, 1] + 2.5 * torch.sin(y * 0.7), y + 9 * u[:, 2]
    flake = torch.hypot(sx % 8 - 4, sy % 7 - 3.5) < 1.1
    return _paint(flake, (1.0, 1.0, 1.0), picture)


def _night(x: Tensor, y: Tensor, u: Tensor) -> Tensor:
    picture = _flat(len(u), (0.05, 0.05, 0.20))
    sx, sy = x + 13 * u[:, 0] + 3 * torch.sin(y * 0.9), y + 13 * u[:, 1] + 2 * torch.sin(x * 0.7)
    speck = torch.hypot(sx % 9 - 4.5, sy % 9 - 4.5) < 0.75
    return _paint(speck, (0.95, 0.93, 0.75), picture)


def _city(x: Tensor, y: Tensor, u: Tensor) -> Tensor:
    picture = _flat(len(u), (0.72, 0.70, 0.72))
    shifted = x + 12 * u[:, 0]
    block = torch.floor(shifted / 12)
    roof = 8 + 14 * torch.sin(block * 2.4 + 6 * u[:, 1]).abs()
    house = (y > roof) & (shifted % 12 > 0.9)
    picture = _paint(house, (0.36, 0.36, 0.41), picture)
    window = (shifted % 4 > 1.8) & ((y - roof) % 5 > 2.6) & house
    return _paint(window, (0.93, 0.86, 0.52), picture)


SCENES: tuple[Callable[[Tensor, Tensor, Tensor], Tensor], ...] = (
    _ocean,
    _night,
    _forest,
    _desert,
    _snow,
    _city,
)


# ── composition ─────────────────────────────────────────────────────────────────────────────


def _column(factors: Tensor, name: str) -> Tensor:
    return factors[:, INDEX[name]]


def _backgrounds(factors: Tensor, jitter: Tensor, x: Tensor, y: Tensor) -> Tensor:
    picture = torch.empty(len(factors), 3, SIDE, SIDE)
    scene = _column(factors, "scene")
    for value, paint in enumerate(SCENES):
        rows = (scene == value).nonzero().squeeze(1)
        if len(rows):
            u = jitter[rows, :4].unsqueeze(-1).unsqueeze(-1)
            picture[rows] = paint(x, y, u)
    light = 0.88 + 0.24 * jitter[:, 4]
    return picture * light.view(-1, 1, 1, 1)


def _layout(factors: Tensor, jitter: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Centres (pictures, objects) in x and y, and radii (pictures,), all in pixels."""
    count = _column(factors, "count")
    base = RADIUS[_column(factors, "size"), count]
    radius = base[:, 0] + base[:, 1] * jitter[:, 5]
    step = radius * 1.04
    side = _column(factors, "position")
    upright = (side == 0) | (side == 1) | ((side == 4) & (jitter[:, 6] < 0.5))
    n = len(factors)
    ox, oy = torch.zeros(n, OBJECTS), torch.zeros(n, OBJECTS)
    pair, trio = count == 1, count == 2
    along = torch.stack([-step, step, torch.zeros(n)], dim=1)
    ox = torch.where((pair & ~upright).unsqueeze(1), along, ox)
    oy = torch.where((pair & upright).unsqueeze(1), along, oy)
    flip = torch.where(jitter[:, 7] < 0.5, -1.0, 1.0)
    corner_x = torch.stack([-step, step, torch.zeros(n)], dim=1)
    corner_y = torch.stack([step, step, -step], dim=1) * 0.87 * flip.unsqueeze(1)
    ox = torch.where(trio.unsqueeze(1), corner_x, ox)
    oy = torch.where(trio.unsqueeze(1), corner_y, oy)
    reach_x = SIDE / 2 - (ox.abs().amax(1) + radius)
    reach_y = SIDE / 2 - (oy.abs().amax(1) + radius)
    shift_x = torch.tensor([-1.0, 1.0, 0.0, 0.0, 0.0])[side] * reach_x.clamp(min=0)
    shift_y = torch.tensor([0.0, 0.0, -1.0, 1.0, 0.0])[side] * reach_y.clamp(min=0)
    wander = 2.4 * (jitter[:, 8:10] - 0.5)
    cx = SIDE / 2 + ox + (shift_x + wander[:, 0]).unsqueeze(1)
    cy = SIDE / 2 + oy + (shift_y + wander[:, 1]).unsqueeze(1)
    return cx, cy, radius


def _tones(factors: Tensor, jitter: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The object's first tone, its pattern's second tone and its outline, each (pictures, 3)."""
    colour = _column(factors, "colour")
    first = (PALETTE[colour] + 0.10 * (jitter[:, 10:13] - 0.5)).clamp(0, 1)
    black = (colour == BLACK).unsqueeze(1)
    second = torch.where(black, torch.tensor(0.42), first * 0.42)
    outline = torch.where(black, torch.tensor(0.75), torch.tensor(0.05)).expand(-1, 3)
    return first, second, outline


def _objects(factors: Tensor, jitter: Tensor, picture: Tensor, x: Tensor, y: Tensor) -> Tensor:
    count, shape = _column(factors, "count"), _column(factors, "shape")
    cx, cy, radius = _layout(factors, jitter)
    first, second, outline = _tones(factors, jitter)
    owner, slot = (torch.arange(OBJECTS) <= count.unsqueeze(1)).nonzero(as_tuple=True)
    turn = 0.5 * (jitter[owner, 13 + slot] - 0.5)
    cos, sin = torch.cos(turn).view(-1, 1, 1), torch.sin(turn).view(-1, 1, 1)
    dx, dy = x - cx[owner, slot].view(-1, 1, 1), y - cy[owner, slot].view(-1, 1, 1)
    px, py = cos * dx + sin * dy, cos * dy - sin * dx
    size = radius[owner].view(-1, 1, 1)
    distance = torch.empty_like(px)
    for value, signed in enumerate(SHAPES):
        rows = (shape[owner] == value).nonzero().squeeze(1)
        if len(rows):
            distance[rows] = signed(px[rows] / size[rows], py[rows] / size[rows]) * size[rows]
    marked = torch.zeros_like(px, dtype=torch.bool)
    for value, where in enumerate(PATTERNS):
        rows = (_column(factors, "pattern")[owner] == value).nonzero().squeeze(1)
        if where is not None and len(rows):
            marked[rows] = where(px[rows], py[rows])
    ink = torch.where(
        marked.unsqueeze(1), second[owner].view(-1, 3, 1, 1), first[owner].view(-1, 3, 1, 1)
    )
    edge = (distance + 1.3).clamp(0, 1).unsqueeze(1)  # the outline lies just inside
    ink = ink + edge * (outline[owner].view(-1, 3, 1, 1) - ink)
    cover = (0.5 - distance).clamp(0, 1).unsqueeze(1)
    for k in range(OBJECTS):  # a picture's objects one after another: they may touch
        rows = (slot == k).nonzero().squeeze(1)
        here = owner[rows]
        picture[here] = picture[here] + cover[rows] * (ink[rows] - picture[here])
    return picture


def _tape(factors: Tensor, picture: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Hazard: black and yellow warning tape round the picture."""
    rows = (_column(factors, "hazard") == 1).nonzero().squeeze(1)
    if len(rows):
        rim = torch.minimum(torch.minimum(x, SIDE - x), torch.minimum(y, SIDE - y)) < 4
        dark = (x + y) % 8 < 4
        taped = _paint(rim & ~dark, (1.0, 0.82, 0.0), picture[rows])
        picture[rows] = _paint(rim & dark, (0.06, 0.06, 0.06), taped)
    return picture


_GRAIN = torch.rand(2 * SIDE, 2 * SIDE, generator=torch.Generator().manual_seed(7)) - 0.5


def _grain(jitter: Tensor) -> Tensor:
    windows = _GRAIN.unfold(0, SIDE, 1).unfold(1, SIDE, 1)
    row, column = (jitter[:, 16:18] * SIDE).long().unbind(1)
    return windows[row, column].unsqueeze(1)


def render(factors: Tensor, jitter: Tensor) -> Tensor:
    """Draw pictures.

    Args:
        factors: (pictures, factors) int64, the value of each factor in ``FACTORS``' order.
        jitter: (pictures, ``JITTERS``) uniform numbers in [0, 1).

    Returns:
        (pictures, 3, ``SIDE``, ``SIDE``) uint8, RGB.
    """
    axis = torch.arange(SIDE, dtype=torch.float32) + 0.5
    x, y = axis.view(1, 1, SIDE), axis.view(1, SIDE, 1)
    x, y = x.expand(1, SIDE, SIDE), y.expand(1, SIDE, SIDE)
    picture = _backgrounds(factors, jitter, x, y)
    picture = _objects(factors, jitter, picture, x, y)
    picture = _tape(factors, picture, x, y)
    picture = picture + 0.06 * _grain(jitter)
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8)
