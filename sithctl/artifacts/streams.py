"""Inputs and outputs: a path, or ``-`` for a pipe.

HDF5 needs a seekable file, so a pipe is spooled to a temporary one. An output is written beside
its target and renamed, so a killed run leaves no half file.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sithctl.errors import InputError, UsageError

PIPE = "-"


@contextmanager
def readable(source: str | Path) -> Iterator[Path]:
    """The file to read ``source`` from: itself, or standard input spooled."""
    if str(source) != PIPE:
        path = Path(source)
        if path.is_dir():
            raise InputError("a folder where a file was expected", source, "name the file in it")
        if not path.exists():
            raise InputError("no such file", source, "check the path")
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="sithctl-") as folder:
        path = Path(folder) / "stdin"
        with path.open("wb") as spool:
            shutil.copyfileobj(sys.stdin.buffer, spool)
        yield path


def check_target(target: str | Path | None, force: bool) -> None:
    """Refuse a target before any work is done for it.

    Raises:
        InputError: it exists and is not to be overwritten, or its folder is missing.
        UsageError: binary data would go to a terminal.
    """
    if target is None or str(target) == PIPE:
        if sys.stdout.isatty():
            raise UsageError(
                "binary data on a terminal", None, "name a file with -o, or pipe it on"
            )
        return
    path = Path(target)
    if path.is_dir():
        raise InputError("the output is a folder", target, "name a file")
    if path.exists() and not force:
        raise InputError("the output exists", target, "take another name, or --force to overwrite")
    if not path.absolute().parent.is_dir():
        raise InputError("the output's folder does not exist", path.parent, "make it first")


@contextmanager
def writable(target: str | Path | None) -> Iterator[Path]:
    """A file to write; what is in it at the end becomes ``target``, or goes to standard output."""
    if target is None or str(target) == PIPE:
        with tempfile.TemporaryDirectory(prefix="sithctl-") as folder:
            path = Path(folder) / "stdout"
            yield path
            with path.open("rb") as spool:
                shutil.copyfileobj(spool, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        return
    path = Path(target)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise InputError("cannot write", target, error.strerror or str(error)) from error
    finally:
        part.unlink(missing_ok=True)
