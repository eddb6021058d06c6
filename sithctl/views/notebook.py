"""What Jupyter shows: the terminal's views as HTML, legible on light and on dark."""

from __future__ import annotations

from html import escape
from io import StringIO

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

from sithctl.kinds import Artefact
from sithctl.kinds.shown import Shown
from sithctl.views.info import describe

WIDTH = 120  # columns; what a notebook has less room for can be scrolled to
TITLE = "where it comes from"
PLANNED = {"plan", "dtypes"}  # of a delta's document: its rows are shown above

# A page's background is not known here, and a style sheet would reach other cells. So every colour
# is half-way between: about four to one on white and on a dark grey alike. Text without a style
# keeps the page's own colour.
GREY = (0x7A, 0x7A, 0x7A)
COLOURS = [
    GREY,
    (0xDB, 0x4F, 0x4F),  # red
    (0x23, 0x8A, 0x42),  # green
    (0x97, 0x78, 0x00),  # yellow
    (0x3B, 0x7D, 0xD0),  # blue
    (0xB9, 0x5C, 0xB5),  # magenta
    (0x00, 0x87, 0x87),  # cyan
    GREY,
]
THEME = TerminalTheme(GREY, GREY, COLOURS, COLOURS)
PRE = (
    '<pre style="white-space: pre; overflow-x: auto; line-height: 1.35; background: none; '
    "font-family: 'DejaVu Sans Mono', Menlo, Consolas, monospace\">{code}</pre>"
)


def html(thing: Shown) -> str:
    """What a thing's view shows; an artefact's document, with its history, folded away below."""
    parts = [as_html(thing._view(WIDTH))]
    if isinstance(thing, Artefact):
        document = {**thing.document(), "digest": thing.digest}
        about = describe({name: part for name, part in document.items() if name not in PLANNED})
        parts.append(f"<details><summary>{escape(TITLE)}</summary>{as_html(about)}</details>")
    return f"<div>{''.join(parts)}</div>"


def as_html(renderable: RenderableType, width: int = WIDTH) -> str:
    """A terminal's view as HTML: its text escaped, its colours those of ``THEME``."""
    console = Console(
        file=StringIO(),  # shown by whoever asked, not here
        record=True,
        width=width,
        color_system="truecolor",
        force_terminal=True,
        force_jupyter=False,
        legacy_windows=False,
        highlight=False,
        no_color=False,
    )
    console.print(renderable)
    return console.export_html(theme=THEME, code_format=PRE, inline_styles=True)
