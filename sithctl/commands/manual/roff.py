"""Text as roff: pieces of a man page, and a page's source that people write.

In a source ``# NAME`` begins a section and ``## Name`` a part of one; ``- term: text`` is a term
and what it means, ``* text`` one of a list; lines that are indented by four stand as they are; all
else is paragraphs.
"""

from __future__ import annotations

import re
from textwrap import dedent

from sithctl._version import __version__


def roff(text: str) -> str:
    """Text as roff takes it literally."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    escaped = escaped.replace("^", "\\(ha").replace("`", "\\(ga").replace("~", "\\(ti")
    return re.sub(r"^\.", r"\\&.", escaped, flags=re.MULTILINE)


def flat(text: str) -> str:
    """A paragraph on one line."""
    return " ".join(text.split())


def blocks(text: str) -> list[str]:
    """What blank lines part."""
    return re.split(r"\n\s*\n", text.strip("\n"))


def header(title: str, section: int) -> list[str]:
    """The first line: no date, which would change with the day that a page is written on."""
    return [f'.TH {title.upper()} {section} "" "sithctl {__version__}" "sithctl manual"']


def name(called: str, short: str) -> list[str]:
    return [".SH NAME", f"{roff(called)} \\- {roff(flat(short).rstrip('.'))}"]


def item(term: str, text: str, font: str = "B") -> list[str]:
    """A term, and below it what it means."""
    return [".TP", f".{font} {roff(term)}", roff(flat(text))]


def verbatim(text: str) -> list[str]:
    """Lines as they stand."""
    return [".nf", *map(roff, text.split("\n")), ".fi"]


def flush(text: str) -> list[str]:
    """Lines as they stand, from the left edge: as wide as a terminal."""
    return [".in 0", *verbatim(text), ".in"]


def indented(text: str) -> list[str]:
    """Lines as they stand, a little to the right."""
    return [".RS 4", *verbatim(dedent(text)), ".RE"]


def see_also(*pages: str) -> list[str]:
    """References such as ``sithctl-svd(1)``."""
    parts = [page.removesuffix(")").split("(") for page in pages]
    ends = [","] * (len(parts) - 1) + [""]
    lines = [
        f".BR {roff(title)} ({section}){end}"
        for (title, section), end in zip(parts, ends, strict=True)
    ]
    return [".SH SEE ALSO", *lines]


def rendered(source: str) -> list[str]:
    """The body of a page, from its source."""
    lines: list[str] = []
    for block in blocks(source):
        first, _, rest = block.partition("\n")
        if first.startswith("#"):
            marks, title = first.split(" ", 1)
            lines += [f".S{'HS'[len(marks) - 1]} {roff(title)}"]
            block = rest
        if block.strip():
            lines += _block(block, lines)
    return lines


def _block(block: str, before: list[str]) -> list[str]:
    if block.startswith("    "):
        return [".PP", *indented(block)] if not _heads(before) else indented(block)
    if block.startswith("- "):
        items = re.split(r"^- ", block, flags=re.MULTILINE)[1:]
        return [line for one in items for line in item(*one.split(": ", 1))]
    if block.startswith("* "):
        points = re.split(r"^\* ", block, flags=re.MULTILINE)[1:]
        return [line for one in points for line in (".IP \\(bu 3", roff(flat(one)))]
    return [roff(flat(block))] if _heads(before) else [".PP", roff(flat(block))]


def _heads(lines: list[str]) -> bool:
    """Whether a section begins here: a paragraph macro after its heading does nothing."""
    return bool(lines) and lines[-1].startswith((".SH", ".SS"))
