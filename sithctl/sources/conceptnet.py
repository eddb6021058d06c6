"""English concepts of ConceptNet 5.x: ``conceptnet-assertions-5.7.0.csv`` or ``.csv.gz``.

A line is an assertion in five columns: its URI ``/a/[…]``, relation, start, end, JSON. The real
file has 34 million of them in ten gigabytes, so it is never taken apart line by line.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from sithctl.artifacts.streams import readable
from sithctl.errors import InputError
from sithctl.sources.concepts import tidy

BLOCK = 1 << 23  # bytes taken apart at a time
FORM = b"/a/["
# An end stands after a tab: no other column begins so, and JSON writes a tab as \t. What follows
# the name, /n/wn/animal, is its part of speech and sense.
NODE = re.compile(rb"\t/c/en/([^/\t\r\n]+)")

Tell = Callable[[int, int], None]


def is_conceptnet(path: Path) -> bool:
    """Whether a file is ConceptNet's: a ``.csv.gz``, or a ``.csv`` that begins as its lines do."""
    if path.name.endswith(".csv.gz"):
        return True
    if path.suffix != ".csv" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(FORM)) == FORM


def read_conceptnet(path: Path, tell: Tell | None = None) -> list[str]:
    """The English nodes at either end of an assertion, by first appearance.

    Underscores are spaces, parts of speech and senses are dropped, duplicates folded.

    Args:
        path: the assertions, compressed or not.
        tell: called with (megabytes read, megabytes in all), of the file as it lies on disk.

    Raises:
        InputError: the file is missing, truncated, not in that form, or has no English node.
    """
    found: dict[bytes, None] = {}
    lines = 0
    for block in _blocks(path, tell):
        begun = block.startswith(FORM) + block.count(b"\n" + FORM)
        total = block.count(b"\n") + (not block.endswith(b"\n"))
        if begun != total:
            number = lines + _odd_line(block)
            raise InputError(
                f"line {number} is no assertion of ConceptNet", path, "lines begin with /a/["
            )
        lines += total
        found.update(dict.fromkeys(NODE.findall(block)))
    try:
        concepts = tidy(name.decode().replace("_", " ") for name in found)
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", path, "download it again") from error
    if not concepts:
        raise InputError("no English concepts (/c/en/…)", path, "give ConceptNet's assertions")
    return concepts


def _odd_line(block: bytes) -> int:
    """Which line, from 1, is not an assertion."""
    return next(i for i, line in enumerate(block.split(b"\n"), 1) if not line.startswith(FORM))


def _blocks(path: Path, tell: Tell | None) -> Iterator[bytes]:
    """Whole lines, many at a time."""
    rest = b""
    with readable(path) as real, real.open("rb") as raw:
        size = real.stat().st_size
        stream = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        while block := _read(cast(BinaryIO, stream), path):
            whole, end, tail = block.rpartition(b"\n")
            if end:
                yield rest + whole + end
                rest = tail
            else:
                rest += block
            if tell:
                tell(raw.tell() >> 20, size >> 20)
    if rest:
        yield rest


def _read(stream: BinaryIO, path: Path) -> bytes:
    try:
        return stream.read(BLOCK)
    except (EOFError, OSError, zlib.error) as error:  # BadGzipFile is an OSError
        raise InputError("truncated, or not gzip", path, "download it again") from error
