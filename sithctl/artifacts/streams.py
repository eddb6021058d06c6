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
        if not os.access(path, os.R_OK):
            raise InputError("no permission to read it", source, "change its mode or its owner")
        if path.is_file():
            yield path
            return
    elif sys.stdin is None:
        raise InputError("standard input is closed", None, "name a file, or pipe one in")
    with tempfile.TemporaryDirectory(prefix="sithctl-") as folder:
        spooled = Path(folder) / "input"
        with spooled.open("wb") as spool:
            if str(source) == PIPE:
                shutil.copyfileobj(sys.stdin.buffer, spool)
            else:  # a named pipe, as in --minus <(sithctl fold base)
                with Path(source).open("rb") as pipe:
                    shutil.copyfileobj(pipe, spool)
        yield spooled


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
    if path.exists() and not path.is_file():
        return  # a device or a named pipe: written through
    if path.exists() and not force:
        raise InputError("the output exists", target, "take another name, or --force to overwrite")
    if not path.absolute().parent.is_dir():
        raise InputError("the output's folder does not exist", path.parent, "make it first")
    if not os.access(path.absolute().parent, os.W_OK):
        raise InputError("no permission to write there", path.parent, "take another folder")


@contextmanager
def writable(target: str | Path | None) -> Iterator[Path]:
    """A file to write; what is in it at the end becomes ``target``, or goes to standard output."""
    is_pipe = target is None or str(target) == PIPE
    if is_pipe or (Path(str(target)).exists() and not Path(str(target)).is_file()):
        with tempfile.TemporaryDirectory(prefix="sithctl-") as folder:
            spooled = Path(folder) / "output"
            yield spooled
            _hand_on(spooled, None if is_pipe else Path(str(target)))
        return
    path = Path(str(target)).resolve()  # a link stays a link
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise InputError("cannot write", target, error.strerror or str(error)) from error
    finally:
        part.unlink(missing_ok=True)


def _hand_on(spooled: Path, device: Path | None) -> None:
    """Copy what was written to standard output, or to a device or a named pipe."""
    try:
        with spooled.open("rb") as spool:
            if device is None:
                shutil.copyfileobj(spool, sys.stdout.buffer)
                sys.stdout.buffer.flush()
                return
            with device.open("wb") as target:
                shutil.copyfileobj(spool, target)
    except BrokenPipeError:
        raise
    except OSError as error:
        name = "standard output" if device is None else device
        raise InputError("cannot write", name, error.strerror or str(error)) from error
