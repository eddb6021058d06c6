"""WebDataset tars: members that share a base name are a sample. Read in order, never unpacked."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from functools import partial
from glob import glob
from pathlib import Path
from typing import Any, Self

from sithctl.errors import InputError
from sithctl.sources.images import (
    CAPTION_COLUMNS,
    SUFFIXES,
    Entry,
    Images,
    Wanted,
    missing_caption,
    one_line,
    stamp_of,
)
from sithctl.sources.pixels import decode

TARS = (".tar", ".tar.gz", ".tgz")
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
MOST_SHARDS = 100_000
LARGEST = 256 << 20  # bytes of a member that is read

Sample = dict[str, bytes]  # extension, with its dots → content; b"" for what is not read
TAKEN = SUFFIXES | {".txt", ".json"}


class WebDataset(Images):
    """Samples of tars with an image and, where captions are wanted, a ``.txt`` or ``.json``.

    A caption column is a key of the ``.json``; without one the ``.txt`` counts first. A detail
    column is a key that the first image's ``.json`` must have.
    """

    uses = frozenset({"caption_column", "detail_column"})

    def __init__(self, source: str, wanted: Wanted) -> None:
        self.shards = shards(source)
        super().__init__(Path(source).name, wanted.limit or 0, wanted)

    def stamp(self) -> str:
        return stamp_of(self.shards)

    def entries(self) -> Iterator[Entry]:
        done = 0
        for path in self.shards:
            samples = _samples(path, together=self.wanted.captions)
            for name, sample in samples:
                image = next((data for suffix, data in sample.items() if suffix in SUFFIXES), None)
                if image is None:
                    continue
                if done == self.wanted.limit:
                    return
                texts = self._texts(name, sample, samples, first=not done)
                done += 1
                yield Entry(name, partial(decode, image), *texts)

    def _texts(
        self, name: str, sample: Sample, rest: Iterator[Any], *, first: bool
    ) -> tuple[str | None, str | None]:
        if not self.wanted.captions:
            return None, None
        try:
            facts = json.loads(sample.get(".json", b"{}"))
            text = one_line(sample.get(".txt", b"").decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"the caption of {name} is damaged ({error})", self.name, "write the tar again"
            ) from error
        facts = facts if isinstance(facts, dict) else {}
        asked, detail = self.wanted.caption_column, self.wanted.detail_column
        keys = (asked,) if asked else CAPTION_COLUMNS
        known = (one_line(facts.get(key), self.name) for key in keys)
        named = next(filter(None, known), None)
        caption = named if asked else text or named
        if caption is None:
            for _ in rest:  # a tar that is cut, or out of order, is what is wrong then
                pass
            raise _without(asked, facts, missing_caption(name, self.name), "caption")
        if first and detail and detail not in facts:
            lacking = InputError(f"no detailed caption for the image {name}", self.name)
            raise _without(detail, facts, lacking, "detail")
        return caption, one_line(facts.get(detail), self.name)


def _without(key: str | None, facts: dict[str, Any], error: InputError, option: str) -> InputError:
    """What is missing, and where that was a key of the ``.json``, which keys there are."""
    if key is None or key in facts:
        return error
    have = ", ".join(facts) or "none"
    todo = f"its .json has no key {key}, name one with --{option}-column: {have}"
    return InputError(error.what, error.where, todo)


def shards(source: str) -> list[Path]:
    """The tars that ``source`` names: a file, a folder of them, ``s-{000..003}.tar``, ``s-*.tar``.

    Raises:
        InputError: one of them is not there.
    """
    if Path(source).is_dir():
        return sorted(path for path in Path(source).iterdir() if is_shard(path))
    paths: list[Path] = []
    for name in expand(source):
        found = sorted(glob(name)) if not Path(name).exists() else [name]  # noqa: PTH207 (absolute)
        if not found:
            raise InputError("no such file", name, "check the path")
        paths += map(Path, found)
    return paths


def is_shard(path: Path) -> bool:
    """Whether a file is a tar by its name, and not hidden."""
    return path.name.lower().endswith(TARS) and not path.name.startswith(".")


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


class _Header(tarfile.TarInfo):
    """A member's header. tarfile takes a cut or damaged one for the end of the archive: the end
    is a block of zeros and nothing else."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise tarfile.ReadError(str(error)) from error


def _samples(path: Path, *, together: bool) -> Iterator[tuple[str, Sample]]:
    """The samples of a tar; ``together`` refuses one whose members stand apart."""
    seen: set[int] = set()  # hashes: a tar may have a million samples
    try:
        for name, sample in _of_tar(path):
            if together and hash(name) in seen:
                raise InputError(
                    f"the members of {name} are not adjacent",
                    path,
                    "write the tar with tar --sort=name",
                )
            seen.add(hash(name))
            yield name, sample
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"not a whole tar ({error})", path, "download it again") from error


def _of_tar(path: Path) -> Iterator[tuple[str, Sample]]:
    current: str | None = None
    sample: Sample = {}
    with tarfile.open(path, "r|*", tarinfo=_Header) as tar:
        for member in tar:
            name, extension = _parted(member.name)
            if not member.isfile() or not extension:
                continue
            if name != current and sample:
                yield str(current), sample
                sample = {}
            current = name
            if extension in sample:
                raise InputError(f"two members {name}{extension}", path, "leave one of them out")
            sample[extension] = _content(tar, member) if extension in TAKEN else b""
    if sample:
        yield str(current), sample


def _parted(member: str) -> tuple[str, str]:
    """The first dot of the base name ends a sample's name; a hidden file belongs to none.

    >>> _parted("./a.b/0001.seg.png")
    ('a.b/0001', '.seg.png')
    """
    folder, slash, base = member.removeprefix("./").rpartition("/")
    key, dot, extension = base.partition(".")
    return (f"{folder}{slash}{key}", dot + extension.lower()) if key else (member, "")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > LARGEST:
        raise tarfile.ReadError(f"{member.name} has {member.size} bytes")
    file = tar.extractfile(member)
    return b"" if file is None else file.read()
