"""The objects of the rendered world: their outlines, and the patterns they wear."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

# ── shapes: signed distance at points of the object's own frame (radius 1) ──────────────────


def _circle(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - 0.92


def _square(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) - 0.8


def _triangle(x: Tensor, y: Tensor) -> Tensor:
    slanted = x.abs() * (math.sqrt(3) / 2) - y * 0.5
    return torch.maximum(slanted - 0.5, y - 0.62)


def _star(x: Tensor, y: Tensor) -> Tensor:
    radius, angle = torch.hypot(x, y), torch.atan2(x, -y)
    sector = 2 * math.pi / 5
    folded = (angle - sector * torch.round(angle / sector)).abs()
    px, py = radius * torch.cos(folded), radius * torch.sin(folded)
    inner, half = 0.44, math.pi / 5
    dx, dy = inner * math.cos(half) - 1.05, inner * math.sin(half)
    length = math.hypot(dx, dy)
    return ((px - 1.05) * dy - py * dx) / length


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 0.72).abs() - 0.25


def _cross(x: Tensor, y: Tensor) -> Tensor:
    ax, ay = x.abs(), y.abs()
    across = torch.maximum(ax - 0.98, ay - 0.33)
    return torch.minimum(across, torch.maximum(ax - 0.33, ay - 0.98))


def _heart(x: Tensor, y: Tensor) -> Tensor:
    side, root = 0.5, math.sqrt(2)
    ax, low = x.abs(), y - 0.16
    box = torch.maximum((ax + low).abs(), (ax - low).abs()) / root - side
    lobe = torch.hypot(ax - side / root, low + side / root) - side
    return torch.minimum(box, lobe) - 0.05


def _crescent(x: Tensor, y: Tensor) -> Tensor:
    bite = torch.hypot(x - 0.5, y) - 0.74
    return torch.maximum(torch.hypot(x, y) - 1.0, -bite)


SHAPES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    _circle,
    _square,
    _triangle,
    _heart,
    _star,
    _ring,
    _cross,
    _crescent,
)


# ── patterns: where the object wears its second, darker tone, in pixels of the object ───────


def _striped(x: Tensor, y: Tensor) -> Tensor:
    return torch.sin((x + y) * (2 * math.pi / 6.4)) > 0.1


def _dotted(x: Tensor, y: Tensor) -> Tensor:
    cell = 5.0
    row = torch.round(y / cell)
    dx = x + (row % 2) * (cell / 2)
    return torch.hypot(dx - cell * torch.round(dx / cell), y - cell * row) < 1.45


def _checkered(x: Tensor, y: Tensor) -> Tensor:
    return (torch.floor(x / 4) + torch.floor(y / 4)) % 2 > 0.5


PATTERNS: tuple[Callable[[Tensor, Tensor], Tensor] | None, ...] = (
    None,
    _striped,
    _dotted,
    _checkered,
)
