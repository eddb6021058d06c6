"""WebDataset tars: members that share a base name are a sample. Read in order, never unpacked."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from functools import partial
from glob import glob
from pathlib import Path, PurePosixPath

from sithctl.errors import InputError
from sithctl.sources.images import (
    CAPTION_COLUMNS,
    SUFFIXES,
    Entry,
    Images,
    Wanted,
    decode,
    one_line,
)

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
MOST_SHARDS = 100_000
LARGEST = 256 << 20  # bytes of a member that is read

Sample = dict[str, bytes]  # suffix → content


class WebDataset(Images):
    """Samples of tars with an image and, where captions are wanted, a ``.txt`` or ``.json``.

    A caption column is a key of the ``.json``; without one the ``.txt`` counts first.
    """

    def __init__(self, source: str, wanted: Wanted) -> None:
        self.shards = shards(source)
        super().__init__(Path(source).name, wanted.limit or 0, wanted)

    def entries(self) -> Iterator[Entry]:
        left = self.wanted.limit
        for name, sample in _samples(self.shards):
            image = next((data for suffix, data in sample.items() if suffix in SUFFIXES), None)
            if image is None:
                continue
            if left == 0:
                return
            left = None if left is None else left - 1
            yield Entry(name, partial(decode, image), *self._texts(name, sample))

    def _texts(self, name: str, sample: Sample) -> tuple[str | None, str | None]:
        if not self.wanted.captions:
            return None, None
        try:
            facts = json.loads(sample.get(".json", b"{}"))
            text = one_line(sample.get(".txt", b"").decode())
        except ValueError as error:
            raise InputError(
                f"the caption of {name} is damaged ({error})", self.name, "write the tar again"
            ) from error
        if not isinstance(facts, dict):
            facts = {}
        keys = [self.wanted.caption_column] if self.wanted.caption_column else CAPTION_COLUMNS
        named = next((one_line(facts[key]) for key in keys if facts.get(key)), None)
        caption = named if self.wanted.caption_column else text or named
        return caption, one_line(facts.get(self.wanted.detail_column))


def shards(source: str) -> list[Path]:
    """The tars that ``source`` names: a file, a folder of them, ``s-{000..003}.tar``, ``s-*.tar``.

    Raises:
        InputError: one of them is not there.
    """
    if Path(source).is_dir():
        return sorted(Path(source).glob("*.tar"))
    paths: list[Path] = []
    for name in expand(source):
        found = sorted(glob(name)) if not Path(name).exists() else [name]  # noqa: PTH207 (absolute)
        if not found:
            raise InputError("no such file", name, "check the path")
        paths += map(Path, found)
    return paths


def expand(pattern: str) -> list[str]:
    """Numbered names as a shell's braces have them.

    >>> expand("s-{08..10}.tar")
    ['s-08.tar', 's-09.tar', 's-10.tar']
    """
    match = _RANGE.search(pattern)
    if match is None:
        return [pattern]
    first, last = match.groups()
    if not 0 <= int(last) - int(first) < MOST_SHARDS:
        raise InputError("no such range", pattern, "write {FIRST..LAST}, the smaller number first")
    width = len(first)
    head, tail = pattern[: match.start()], pattern[match.end() :]
    numbers = range(int(first), int(last) + 1)
    return [name for n in numbers for name in expand(f"{head}{n:0{width}}{tail}")]


def _samples(paths: list[Path]) -> Iterator[tuple[str, Sample]]:
    for path in paths:
        try:
            yield from _of_tar(path)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise InputError(f"not a whole tar ({error})", path, "download it again") from error


def _of_tar(path: Path) -> Iterator[tuple[str, Sample]]:
    current: str | None = None
    sample: Sample = {}
    with tarfile.open(path, "r|*") as tar:
        for member in tar:
            if not member.isfile():
                continue
            name, suffix = _parted(member.name)
            if name != current and sample:
                yield str(current), sample
                sample = {}
            current = name
            if suffix in SUFFIXES or suffix in {".txt", ".json"}:
                sample[suffix] = _content(tar, member)
    if sample:
        yield str(current), sample


def _parted(member: str) -> tuple[str, str]:
    """``a/0001.seg.png`` → ``a/0001``, ``.png``: the first dot ends a sample's name."""
    path = PurePosixPath(member)
    return (path.parent / path.name.partition(".")[0]).as_posix(), path.suffix.lower()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > LARGEST:
        raise tarfile.ReadError(f"{member.name} has {member.size} bytes")
    file = tar.extractfile(member)
    return b"" if file is None else file.read()
