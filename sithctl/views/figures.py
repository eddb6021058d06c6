"""Figures by Matplotlib: the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from sithctl.evaluation.charts import Chart, Series

SIZE = (7.6, 4.0)  # inches
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe & Ito's
GREY = "#666666"
DPI = 150  # of a PNG; an SVG has none, but for the pictures in it


@contextmanager
def drawing(key: str) -> Iterator[None]:
    """Settings under which figures are drawn and saved; text stays text in an SVG."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": key, "font.family": "sans-serif"}):
        yield


def as_bytes(figure: Any, format: str) -> bytes:  # noqa: A002
    """A figure's ``svg`` or ``png``, without a date."""
    buffer = BytesIO()
    metadata = {"Date": None, "Creator": "sithctl"} if format == "svg" else {"Software": "sithctl"}
    figure.savefig(buffer, format=format, metadata=metadata, dpi=DPI)
    return buffer.getvalue()


def as_svg(chart: Chart) -> str:
    """A chart as an SVG document; its text stays text."""
    from matplotlib.figure import Figure

    with drawing(chart.key):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        axes.set_title(chart.title, loc="left", fontsize=11, parse_math=False)
        axes.set_xlabel(chart.x_label, parse_math=False)
        axes.set_ylabel(chart.y_label, parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        (_bars if chart.categories else _curves)(axes, chart)
        figure.legend(loc="outside right upper", frameon=False, fontsize=9)  # never on data
        return as_bytes(figure, "svg").decode()


def _curves(axes: Any, chart: Chart) -> None:
    measured = [series.name for series in chart.series if series.name not in chart.dashed]
    own = dict(zip(measured, COLOURS * len(measured), strict=False))
    for series in chart.series:
        stated = series.name in chart.dashed
        colour = own.get(_beside(series.name) if stated else series.name, GREY)
        style = "--" if stated else "o-"
        axes.plot(series.x, series.y, style, color=colour, markersize=4, label=series.name)
        if series.low:
            axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.15, lw=0)
    if chart.logarithmic:
        axes.set_xscale("log")
    if chart.ticks:
        ticks = sorted({x for series in chart.series for x in series.x})
        axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
        axes.minorticks_off()


def _beside(name: str) -> str:
    """The series that a stated one belongs to: ``colour`` of ``colour, as it is``."""
    return name.partition(", ")[0]


def _bars(axes: Any, chart: Chart) -> None:
    width = 0.8 / len(chart.series)
    for i, series in enumerate(chart.series):
        places = [place - 0.4 + width * (i + 0.5) for place in range(len(chart.categories))]
        stated = series.name in chart.dashed
        colour = "#bbbbbb" if stated else COLOURS[i % len(COLOURS)]
        axes.bar(places, series.y, width * 0.92, color=colour, label=series.name)
        if series.low:
            axes.errorbar(places, series.y, _errors(series), fmt="none", color="#222222", lw=1)
    axes.set_xticks(range(len(chart.categories)), chart.categories, parse_math=False)


def _errors(series: Series) -> list[list[float]]:
    below = [max(0.0, y - low) for y, low in zip(series.y, series.low, strict=True)]
    above = [max(0.0, high - y) for y, high in zip(series.y, series.high, strict=True)]
    return [below, above]
