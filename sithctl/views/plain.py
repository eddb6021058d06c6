"""Terminals without Unicode: σ is spelt out, bars are drawn with #, and labels are escaped, so that
nothing fails, nothing is lost, and columns stay straight."""

from __future__ import annotations

import codecs
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

SPELT = {
    **dict(zip("▏▎▍▌▋▊▉█", "---===##", strict=True)),
    **dict(zip("−–—≈×·…‘’“”─━┏┓┗┛┃│╭╮╰╯", "---~x-~''\"\"--++++||++++", strict=True)),
    "σ": "sigma",
    "Σ": "sum ",
    "α": "alpha",
    "λ": "lambda",
    "μ": "mu",
    "Δ": "delta ",
    "→": "->",
    "←": "<-",
    "↑": "^",
    "↓": "v",
    "≤": "<=",
    "≥": ">=",
    "±": "+-",
    "²": "^2",
    "√": "sqrt ",
    "✓": "yes",
    "\u200e": "",
}


def spelt(text: str, encoding: str) -> str:
    r"""The text in what an encoding has.

    >>> spelt("σ of “é”", "ascii")
    'sigma of "\\xe9"'
    """
    return "".join(_spelt(c, encoding) for c in text)


def _spelt(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
        return character
    except UnicodeEncodeError:
        return SPELT.get(character) or (
            "" if character in SPELT else character.encode("unicode_escape").decode()
        )


def prepare(*streams: TextIO) -> None:
    """Make streams write what their terminal can show, by its locale."""
    codecs.register_error("spelt", _spell)
    for stream in streams:
        if has_unicode(stream) or not hasattr(stream, "reconfigure"):
            continue
        encoding = "ascii" if stream.encoding.lower().startswith("utf") else stream.encoding
        stream.reconfigure(encoding=encoding, errors="spelt")


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return spelt(error.object[error.start : error.end], error.encoding), error.end


def has_unicode(stream: TextIO) -> bool:
    """Whether a stream's terminal shows Unicode, as far as its encoding and the locale say.

    Python writes UTF-8 in the C locale, too, whatever the terminal can show: so the variables are
    read. ``LC_CTYPE=C.UTF-8`` is what Python itself sets there.
    """
    if not (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf"):
        return False
    known = os.environ
    ctype = known.get("LC_CTYPE", "")
    locale = known.get("LC_ALL") or ("" if ctype == "C.UTF-8" else ctype) or known.get("LANG", "")
    return bool(known.get("PYTHONIOENCODING")) or locale not in {"C", "POSIX"}


def simplified(shown: Any) -> RenderableType:
    """A table, or a group of them, in what standard output's encoding has, before it is laid out:
    what is spelt out takes more room."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return shown if encoding.lower().startswith("utf") else _simplified(shown, encoding)


def _simplified(shown: Any, encoding: str) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    if isinstance(shown, str):
        return spelt(shown, encoding)
    if isinstance(shown, Text):
        return _text(shown, encoding)
    if isinstance(shown, Group):
        return Group(*(_simplified(part, encoding) for part in shown.renderables))
    if isinstance(shown, Table):
        return _table(shown, encoding)
    return shown


def _text(text: Text, encoding: str) -> Text:
    from rich.text import Span, Text

    parts = [_spelt(c, encoding) for c in text.plain]
    starts = [0]
    for part in parts:
        starts.append(starts[-1] + len(part))
    last = len(parts)
    spans = [
        Span(starts[min(s.start, last)], starts[min(s.end, last)], s.style) for s in text.spans
    ]
    overflow = "crop" if text.overflow == "ellipsis" else text.overflow
    return Text(
        "".join(parts),
        text.style,
        justify=text.justify,
        overflow=overflow,
        no_wrap=text.no_wrap,
        spans=spans,
    )


def _table(table: Table, encoding: str) -> Table:
    """The table itself, with other cells: it is printed once."""
    from rich.box import Box

    table.title, table.caption = (_simplified(x, encoding) for x in (table.title, table.caption))
    if table.box is not None and not table.box.ascii:
        table.box = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
    for column in table.columns:
        column.header, column.footer = (
            _simplified(x, encoding) for x in (column.header, column.footer)
        )
        column._cells = [_simplified(cell, encoding) for cell in column._cells]
        column.overflow = "crop" if column.overflow == "ellipsis" else column.overflow
    return table
