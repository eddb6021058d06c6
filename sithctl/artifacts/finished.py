"""Finished blocks of unfinished work, in a file beside its target: a killed run goes on from there.

The file is a line that says what is being made, then records: number, length, digest, content. A
record is appended whole or is cut off: what a kill or a power cut left half is told by its digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO

from sithctl.artifacts.containers import packed, unpacked
from sithctl.artifacts.streams import PIPE
from sithctl.errors import InputError
from sithctl.kinds.base import canonical
from sithctl.kinds.shard import Block

RECORD = Struct("<QQ32s")  # number, length, SHA-256
LONGEST = 1 << 24  # bytes of the first line: another file's could be gigabytes long


class Finished:
    """Blocks that are finished; one process at a time adds to them.

    Args:
        path: the file that they are in.
        recipe: everything that changes the blocks.
        force: start over where what lies there is of another recipe.

    Raises:
        InputError: it is of another recipe, another process is at it, or it cannot be written.
    """

    def __init__(self, path: Path, recipe: Mapping[str, Any], *, force: bool) -> None:
        self.path = path
        self._places: dict[int, tuple[int, int]] = {}  # number → offset, length
        try:
            self._file: BinaryIO = path.open("a+b")
        except OSError as error:
            raise InputError("cannot write", path, error.strerror or str(error)) from error
        try:
            _lock(self._file, path)
            self._take_up(recipe, force)
        except BaseException:
            self._file.close()
            raise

    def __contains__(self, number: int) -> bool:
        return number in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def block(self, number: int) -> Block:
        """A finished block."""
        offset, length = self._places[number]
        self._file.seek(offset)
        document, columns = unpacked(self._file.read(length))
        return Block(number, document["said"], columns)

    def add(self, block: Block) -> None:
        """Keep one more; it is safe from a kill when this returns.

        Raises:
            InputError: the disk is full.
        """
        content = packed({"said": block.said}, block.columns or {})
        head = RECORD.pack(block.number, len(content), hashlib.sha256(content).digest())
        self._file.seek(0, os.SEEK_END)
        start = self._file.tell()
        try:
            self._file.write(head + content)
            self._file.flush()
        except OSError as error:
            raise InputError("cannot write", self.path, error.strerror or str(error)) from error
        self._places[block.number] = start + RECORD.size, len(content)

    def forget(self) -> None:
        """Keep nothing of what was finished."""
        self._places.clear()

    def close(self, *, done: bool) -> None:
        """Let go of the file; nothing is left of work that is done, or was not begun."""
        if done or not self._places:
            self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # what could not be flushed was refused before
            self._file.close()

    def _take_up(self, recipe: Mapping[str, Any], force: bool) -> None:
        self._file.seek(0)
        line = self._file.readline(LONGEST)
        wanted = canonical(recipe)
        if line == f"{wanted}\n".encode():
            self._read_records()
            return
        if line.endswith(b"\n") and not force:  # a line cut short has nothing behind it
            raise InputError(
                f"what a run left unfinished differs in {_difference(line, recipe)}",
                self.path,
                "finish that with the command that began it, or --force to start over",
            )
        self._file.truncate(0)
        self._file.write(f"{wanted}\n".encode())
        self._file.flush()

    def _read_records(self) -> None:
        """Find the whole records; cut off what stands behind the last."""
        end = self._file.tell()
        while len(head := self._file.read(RECORD.size)) == RECORD.size:
            number, length, digest = RECORD.unpack(head)
            content = self._file.read(length) if length <= _size(self._file) else b""
            if len(content) < length or hashlib.sha256(content).digest() != digest:
                break
            self._places[number] = end + RECORD.size, length
            end += RECORD.size + length
        self._file.truncate(end)


def beside(target: str | None) -> Path | None:
    """Where unfinished work for a target lies; None for what is not a file: a pipe, a device."""
    if target is None or target == PIPE or (Path(target).exists() and not Path(target).is_file()):
        return None
    path = Path(target).resolve()  # a link stays a link
    return path.with_name(f".{path.name}.part")


def _difference(line: bytes, recipe: Mapping[str, Any]) -> str:
    """Which entries of two recipes differ, by name."""
    try:
        found = json.loads(line)
        names = sorted({*found, *recipe})
        differing = [n for n in names if canonical(found.get(n)) != canonical(recipe.get(n))]
    except (ValueError, TypeError, AttributeError):
        return "kind: it is not sithctl's"
    return ", ".join(differing)


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: two runs at once are the user's to avoid
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        what = "another process is at work on this output"
        raise InputError(what, path, "wait for it, or take another name") from error
    except OSError:
        pass  # a file system without locks
