"""Figures as data: what a curve or a group of bars shows, whoever draws it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """One curve, or one colour of bars.

    Attributes:
        y: figures; of a curve at ``x``, of bars one a category.
        low, high: ends of their intervals, where they are known.
    """

    name: str
    y: tuple[float, ...]
    x: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class Chart:
    """A figure.

    Attributes:
        key: names its file.
        categories: of bars; empty for curves.
        logarithmic: whether x is.
        ticks: whether x is marked where there are figures, and nowhere else.
        dashed: names of series that are not measured but stated, as the paper's.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    categories: tuple[str, ...] = ()
    logarithmic: bool = False
    ticks: bool = True
    dashed: tuple[str, ...] = ()
