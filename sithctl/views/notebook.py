"""What Jupyter shows: the terminal's views as HTML, legible on light and on dark."""

from __future__ import annotations

from io import StringIO

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

from sithctl.kinds import Artefact
from sithctl.kinds.shown import Shown
from sithctl.views.info import describe

WIDTH = 160  # columns at most; what a notebook has less room for can be scrolled to
FOLDED = 120  # of what is folded away: lists that wrap
TITLE = "where it comes from"
PLANNED = {"plan", "dtypes"}  # of a delta's document: its rows are shown above

# A page's background is not known here, and a style sheet would reach other cells. So every colour
# is half-way between, of luminance 0.207: four to one on white and on a dark grey alike. Text
# without a style keeps the page's own colour.
GREY = (0x7D, 0x7D, 0x7D)
COLOURS = [
    GREY,
    (0xD9, 0x4D, 0x4D),  # red
    (0x24, 0x90, 0x48),  # green
    (0x9C, 0x79, 0x08),  # yellow
    (0x38, 0x7F, 0xD5),  # blue
    (0xBA, 0x57, 0xB7),  # magenta
    (0x11, 0x8B, 0x96),  # cyan
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
        parts.append(f"<details><summary>{TITLE}</summary>{as_html(about, FOLDED)}</details>")
    return f"<div>{''.join(parts)}</div>"


def as_html(renderable: RenderableType, width: int = WIDTH) -> str:
    """A terminal's view as HTML: its text escaped, its colours those of ``THEME``."""
    console = Console(
        file=StringIO(),  # shown by whoever asked, not here
        record=True,
        width=width,
        color_system="truecolor",
        force_terminal=False,  # or TERM=dumb, as an editor sets it, would make it 80 columns
        force_jupyter=False,
        legacy_windows=False,
        highlight=False,
        no_color=False,
    )
    console.print(renderable)
    return console.export_html(theme=THEME, code_format=PRE, inline_styles=True)
