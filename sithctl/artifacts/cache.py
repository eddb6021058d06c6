"""Stages' results kept by the digest of what they were made from."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sithctl._version import __version__
from sithctl.artifacts.store import load, save
from sithctl.errors import InputError
from sithctl.kinds import Artefact
from sithctl.kinds.base import canonical

T = TypeVar("T", bound=Artefact)

SUFFIX = {"safetensors": "safetensors", "hdf5": "h5"}


def folder() -> Path:
    """``SITHCTL_CACHE``, else the platform's cache folder."""
    if chosen := os.environ.get("SITHCTL_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "sithctl"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "sithctl" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sithctl"


CODE = ("checkpoints", "kinds", "models", "pursuit", "sources", "stages")  # what results come from


@cache
def _code() -> str:
    """A digest of the code that makes results: a changed stage must not find its old ones."""
    root, state = Path(__file__).parent.parent, hashlib.sha256(__version__.encode())
    for path in sorted(p for part in CODE for p in (root / part).glob("*.py")):
        state.update(path.read_bytes())
    return state.hexdigest()


def key(stage: str, parameters: Mapping[str, Any]) -> str:
    """Names a result by the code, the stage and everything that changes it."""
    text = canonical({"code": _code(), "stage": stage, **parameters})
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cached(stage: str, parameters: Mapping[str, Any], kind: type[T], make: Callable[[], T]) -> T:
    """The result of ``make()``, from the cache where it is there already.

    An unreadable entry is made again; a cache that cannot be written is done without.
    """
    path = folder() / f"{stage}-{key(stage, parameters)}.{SUFFIX[kind.container]}"
    if path.exists():
        try:
            return load(path, kind)
        except InputError:
            path.unlink(missing_ok=True)
    result = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(result, path)
    except (OSError, InputError):
        pass
    return result


def file_digest(path: Path) -> str:
    """SHA-256 of a file, remembered by its path, size and times: of the two, copies keep that of
    the last writing and cannot keep that of the last change."""
    path = path.resolve()
    status = path.stat()
    times = {"mtime": status.st_mtime_ns, "ctime": status.st_ctime_ns, "inode": status.st_ino}
    stamp = key("file", {"path": str(path), "size": status.st_size, **times})
    note = folder() / "digests" / stamp
    if note.exists() and (known := note.read_text().strip()):
        return known
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(digest)
    except OSError:
        pass
    return digest
