"""Published word lists, fetched once into the cache: resumed where they broke off, checked."""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sithctl._version import __version__
from sithctl.artifacts.cache import file_digest, folder
from sithctl.errors import InputError

TRIES = 3  # in a row that bring nothing
PAUSE = 1.0  # seconds after the first such try, twice that after the second
TIMEOUT = 60.0
CHUNK = 1 << 18

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Download:
    """A file as its publisher has it; size and digest are None where they are not known."""

    url: str
    size: int | None = None
    sha256: str | None = None

    @property
    def file(self) -> str:
        return self.url.rsplit("/", 1)[-1]


DOWNLOADS = {
    "conceptnet": Download(
        "https://s3.amazonaws.com/conceptnet/downloads/2019/edges/"
        "conceptnet-assertions-5.7.0.csv.gz",
        size=497_963_447,
        sha256="accd65fe94038584295574ddc26e1500c1919c8c4532bf771811cafd0948af7e",
    ),
    "wordnet": Download(
        "https://wordnetcode.princeton.edu/wn3.1.dict.tar.gz",
        sha256="3f7d8be8ef6ecc7167d39b10d66954ec734280b5bdcd57f7d9eafe429d11c22a",
    ),
}


def fetch(name: str, tell: Tell | None = None) -> Path:
    """The file that a name of ``DOWNLOADS`` stands for, from the cache or from its publisher.

    What has come so far is kept beside it as ``.part``, so that a second call goes on from there.

    Args:
        name: ``conceptnet`` or ``wordnet``.
        tell: called with (megabytes there, megabytes in all).

    Raises:
        InputError: it cannot be fetched, or is not what was published; the error says what file to
            bring and where from.
    """
    download = DOWNLOADS[name]
    target = folder() / "downloads" / download.file
    if target.exists():
        return target
    if _offline():
        raise _missing(name, download, target, "offline (HF_HUB_OFFLINE is set)")
    part = target.with_name(target.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    except OSError as error:
        raise _unwritable(part, error) from error
    _complete(name, download, part, tell)
    _check(download, part)
    part.replace(target)
    return target


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _missing(name: str, download: Download, target: Path, why: str) -> InputError:
    return InputError(
        f"{name} is not there yet and cannot be fetched: {why}",
        download.url,
        f"download that file elsewhere and give it as SOURCE, or put it at {target}",
    )


def _complete(name: str, download: Download, part: Path, tell: Tell | None) -> None:
    """Ask for what is missing until all is there, or several tries in a row bring nothing."""
    most, fruitless = _size(part), 0
    while fruitless < TRIES:
        time.sleep(PAUSE * fruitless)
        try:
            if _receive(download, part, tell):
                return
            why = "the server sent less than it announced"
        except urllib.error.HTTPError as error:
            why = f"the server answers {error.code} {error.reason}"
            if error.code < 500:
                break
        except (http.client.HTTPException, OSError) as error:
            why = str(getattr(error, "reason", error)) or type(error).__name__
        fruitless = 0 if _size(part) > most else fruitless + 1
        most = max(most, _size(part))
    if not _size(part):
        part.unlink(missing_ok=True)
    raise _missing(name, download, part.with_suffix(""), why)


def _receive(download: Download, part: Path, tell: Tell | None) -> bool:
    """One request, for what is missing; whether all is there now."""
    have = _size(part)
    request = urllib.request.Request(download.url, headers={"User-Agent": f"sithctl/{__version__}"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # Nothing after what is there: it is whole, or of another file.
        if _total(error.headers.get("Content-Range")) == have:
            return True
        part.unlink()
        return False
    with response:
        ranged = response.headers.get("Content-Range")
        # 200 is the whole file again: the server knows no ranges.
        if response.status != 206 or not _starts_at(ranged, have):
            have, ranged = 0, None
        length = response.headers.get("Content-Length")
        total = _total(ranged) or (have + int(length) if length else download.size)
        have = _append(response, part, have, total, tell)
    return total is None or have >= total


def _append(response: Any, part: Path, have: int, total: int | None, tell: Tell | None) -> int:
    with part.open("ab" if have else "wb") as file:
        while chunk := response.read(CHUNK):
            try:
                file.write(chunk)
            except OSError as error:  # told apart from the network's, which are tried again
                raise _unwritable(part, error) from error
            have += len(chunk)
            if tell:
                tell(have >> 20, (total or 0) >> 20)
    return have


def _unwritable(part: Path, error: OSError) -> InputError:
    return InputError("cannot write", part, error.strerror or str(error))


def _starts_at(content_range: str | None, start: int) -> bool:
    return bool(content_range and content_range.startswith(f"bytes {start}-"))


def _total(content_range: str | None) -> int | None:
    match = re.search(r"/(\d+)$", content_range or "")
    return int(match[1]) if match else None


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _check(download: Download, part: Path) -> None:
    """Refuse, and throw away, what is not what was published."""
    found = _size(part)
    if download.size is not None and found != download.size:
        part.unlink()
        raise InputError(f"{found} bytes came, not {download.size}", download.url, "try again")
    if download.sha256 is not None and (digest := file_digest(part)) != download.sha256:
        part.unlink()
        raise InputError(
            f"what came is not what was published: SHA-256 {digest[:12]}…, not "
            f"{download.sha256[:12]}…",
            download.url,
            "try again, or download it by another way and give the file as SOURCE",
        )
