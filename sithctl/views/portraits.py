"""Heads as figures for a paper or a page: one head's spectrum, several heads as a map."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from sithctl.kinds import Array, Codes
from sithctl.stages.choice import place
from sithctl.stages.explain import Explanation
from sithctl.stages.summary import HeadFigures, summarise
from sithctl.views.figures import COLOURS, GREY, as_bytes, drawing
from sithctl.views.terminal import POLE_SIGN
from sithctl.views.text import printable, subject

SHOWN = 24  # vectors of a spectrum
NAMED = 3  # concepts of a pole
LONGEST = 64  # characters of a pole
POLE_COLOUR = {"+": COLOURS[2], "-": COLOURS[3]}
WIDEST = 10.0  # inches of a map: more panels begin another row, or a page would shrink them
SAID = 100  # cells of a map that say their figure
MEASURES = (
    ("share", "share of all σ²", "Blues", "{:.0%}"),
    ("fidelity", "fidelity", "viridis", "{:.2f}"),
    ("coherence", "coherence", "viridis", "{:.2f}"),
    ("trusted", "share of grade A or B", "viridis", "{:.0%}"),
)


def portrait(codes: Codes, rows: Sequence[Explanation], format: str) -> bytes:  # noqa: A002
    """The spectrum of one head, or a map of several.

    Args:
        codes: whose explanations these are.
        rows: at least one; their heads are drawn.
        format: ``svg`` or ``png``.
    """
    heads = sorted({(e.layer, e.head) for e in rows})
    with drawing("-".join(map(str, heads[0]))), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        draw = _spectrum if len(heads) == 1 else _map
        made = as_bytes(draw(codes, rows), format)
    if format == "png" and any("Glyph" in str(w.message) for w in caught):
        warnings.warn("fonts lack some letters of labels: an SVG keeps them as text", stacklevel=2)
    return made


def title(codes: Codes, rows: Sequence[Explanation]) -> str:
    """What ``portrait`` draws."""
    heads = {(e.layer, e.head) for e in rows}
    name, first = subject(codes), rows[0]
    if len(heads) > 1:
        return f"{name} · {len(heads)} heads"
    return f"{name} · layer {first.layer} · head {first.head}"


def _spectrum(codes: Codes, rows: Sequence[Explanation]) -> Any:
    """σ of each vector as a bar, and beside it what both of its poles say."""
    from matplotlib.figure import Figure

    vectors: dict[int, list[Explanation]] = {}
    for e in rows:
        vectors.setdefault(e.sv, []).append(e)
    shown = list(vectors.values())[:SHOWN]
    figure = Figure(figsize=(9.0, 1.0 + 0.42 * len(shown)), layout="constrained")
    axes, said = figure.subplots(1, 2, sharey=True, width_ratios=(2, 3))
    more = f" · {len(shown)} of {len(vectors)} vectors" if len(vectors) > len(shown) else ""
    axes.set_title(title(codes, rows) + more, loc="left", fontsize=11, parse_math=False)
    for y, poles in enumerate(shown):
        e = poles[0]
        axes.barh(y, e.singular_value, 0.7, color=GREY if e.degenerate else COLOURS[0])
        for step, pole in enumerate(poles):
            _say(said, y + 0.4 * (step - (len(poles) - 1) / 2), pole)
    labels = [f"{e.sv}≈" if e.degenerate else f"{e.sv}" for e, *_ in shown]
    axes.set_yticks(range(len(shown)), labels)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlabel("σ")
    axes.set_ylabel("singular vector")
    axes.spines[["top", "right"]].set_visible(False)
    said.set_axis_off()
    return figure


def _say(axes: Any, y: float, e: Explanation) -> None:
    text = ", ".join(printable(c.concept) for c in e.concepts[:NAMED]) or "no concept"
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    style = {"va": "center", "fontsize": 8.5, "parse_math": False, "clip_on": False}
    axes.text(0.0, y, POLE_SIGN[e.pole], color=POLE_COLOUR[e.pole], weight="bold", **style)
    axes.text(0.04, y, text, color="#222222", **style)


def _map(codes: Codes, rows: Sequence[Explanation]) -> Any:
    """Layers by heads, a panel a measure."""
    from matplotlib.figure import Figure

    figures = summarise([codes])
    layers, heads = (sorted({place(e)[axis] for e in rows}) for axis in (0, 1))
    drawn = [m for m in MEASURES if any(getattr(f, m[0]) is not None for f in figures.values())]
    width, height = max(2.6, 0.42 * len(heads) + 1.4), max(1.8, 0.36 * len(layers) + 1.2)
    across = min(len(drawn), max(1, int(WIDEST / width)))
    down = -(-len(drawn) // across)
    figure = Figure(figsize=(width * across, height * down), layout="constrained")
    figure.suptitle(title(codes, rows), x=0.01, ha="left", fontsize=11, parse_math=False)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes in panels[len(drawn) :]:
        axes.set_axis_off()
    for axes, (name, heading, colours, shown) in zip(panels, drawn, strict=False):
        values = _grid(figures, layers, heads, name)
        _panel(figure, axes, values, colours, shown)
        axes.set_title(heading, fontsize=10, parse_math=False)
        axes.set_xticks(range(len(heads)), heads, fontsize=9)
        axes.set_yticks(range(len(layers)), layers, fontsize=9)
        axes.set_xlabel("head")
        axes.set_ylabel("layer")
    return figure


def _grid(
    figures: dict[tuple[int, int], HeadFigures], layers: list[int], heads: list[int], name: str
) -> Array:
    """(layers, heads) of a measure; NaN where it is unknown."""
    known = [[getattr(figures.get((n, h)), name, None) for h in heads] for n in layers]
    return np.array([[np.nan if x is None else x for x in row] for row in known], dtype=float)


def _panel(figure: Any, axes: Any, values: Array, colours: str, shown: str) -> None:
    # From 0, or a measure that hardly differs would go from white to navy. Coherence goes below.
    low = float(np.nanmin(values, initial=0.0))
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colours, aspect="auto", vmin=low)
    axes.set_facecolor("#eeeeee")
    figure.colorbar(image, ax=axes, shrink=0.8).ax.tick_params(labelsize=8)
    if values.size > SAID:
        return
    for (y, x), value in np.ndenumerate(values):
        if not np.isnan(value):
            light = sum(image.cmap(image.norm(value))[:3]) > 1.5
            ink = "#222222" if light else "white"
            axes.text(x, y, shown.format(value), ha="center", va="center", fontsize=8.5, color=ink)
