"""Images one after another: read a little ahead, in order, the unreadable ones counted."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image

from sithctl.errors import InputError
from sithctl.kinds import Arrival, CaptionedImage, Factors
from sithctl.kinds.base import canonical
from sithctl.sources.pixels import as_rgb

Take = Callable[[int, CaptionedImage], Any]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"})
WORKERS = 4  # threads that decode: Pillow lets go of the lock
AHEAD = 8  # images decoded before they are asked for: each can be a hundred megabytes


@dataclass(frozen=True)
class Wanted:
    """What to take from a source.

    Attributes:
        captions: refuse an image without a caption; otherwise captions are not looked for.
        attributes: take what is known of each image besides: its classes, its columns.
        limit: so many images at most, counted before unreadable ones are left out.
        strict: stop at an unreadable image instead of leaving it out.
        split, image_column, caption_column, detail_column, id_column: of a data set; a caption
            column of None is the first of ``CAPTION_COLUMNS`` that there is.
        streaming: read a data set of the hub as it arrives.
        seed: of rendered scenes.
        endless: how many of a source that has no end, where no limit is given.
    """

    captions: bool = False
    attributes: bool = False
    limit: int | None = None
    strict: bool = False
    split: str | None = None
    image_column: str = "image"
    caption_column: str | None = None
    detail_column: str | None = None
    id_column: str | None = None
    streaming: bool = False
    seed: int = 0
    endless: int = 4096


CAPTION_COLUMNS = ("caption", "text", "captions")


@dataclass(frozen=True)
class Entry:
    """An image that is still to be read; ``read`` may fail in any of the decoders' ways."""

    id: str
    read: Callable[[], Image.Image]
    caption: str | None = None
    detail: str | None = None
    factors: Factors | None = None


class Images(ABC):
    """Images one after another.

    Attributes:
        name: of the source.
        count: how many there are to read; 0 where only reading tells.
        skipped: the ids of those that could not be read, known after reading.
        reasons: why each of them could not.
        uses: which fields of ``Wanted``, beside those that all sources use, change what is read.
        attributes: by column the values that there may be, in their order where the source tells
            it, else none; empty where attributes are not wanted.
        groups: columns whose groups this source is made for.
    """

    uses: frozenset[str] = frozenset()
    attributes: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    groups: tuple[str, ...] = ()

    def __init__(self, name: str, count: int, wanted: Wanted) -> None:
        self.name, self.count, self.wanted = name, count, wanted
        self.skipped: list[str] = []
        self.reasons: list[str] = []

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """What there is to read, in order, no more than ``wanted.limit``."""

    def stamp(self) -> Any:
        """What changes when the source does, as far as that is seen without reading it, for work
        that is taken up again; None where nothing is."""
        return None

    def values(self, column: str) -> set[str] | None:
        """The values of an attribute that there are; None where only reading pictures tells."""
        return None

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """What could not be read, and why."""
        return list(zip(self.skipped, self.reasons, strict=True))

    def __iter__(self) -> Iterator[CaptionedImage]:
        for arrival in self.arrivals():
            if isinstance(arrival.item, CaptionedImage):
                yield arrival.item

    def arrivals(
        self,
        wanted: Callable[[int], bool] = lambda _: True,
        take: Take = lambda _, picture: picture,
        ahead: int = AHEAD,
    ) -> Iterator[Arrival]:
        """Every place of the source in order, with what is taken of its picture where that is
        wanted.

        Args:
            wanted: whether to read the picture at a place, from 0.
            take: called with a place and its picture, in the thread that has read it.
            ahead: pictures taken before they are asked for.
        """
        self.skipped.clear()
        self.reasons.clear()
        waiting: deque[tuple[Entry, Future[Any] | None]] = deque()
        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                for place, entry in enumerate(self.entries()):
                    self._check(entry)
                    reading = pool.submit(_taken, place, entry, take) if wanted(place) else None
                    waiting.append((entry, reading))
                    if len(waiting) > ahead:
                        yield self._arrival(*waiting.popleft())
                while waiting:
                    yield self._arrival(*waiting.popleft())
            finally:
                for _, future in waiting:
                    if future is not None:
                        future.cancel()

    def _check(self, entry: Entry) -> None:
        if self.wanted.captions and not entry.caption:
            raise missing_caption(entry.id, self.name)

    def _arrival(self, entry: Entry, future: Future[Any] | None) -> Arrival:
        name = storable(entry.id)
        said = canonical([name, entry.caption, entry.detail, entry.factors])
        if future is None:
            return Arrival(said, None, name)
        found = future.result()
        if not isinstance(found, _Unreadable):
            return Arrival(said, found, name)
        if self.wanted.strict:
            what = f"the image {entry.id} cannot be read ({_first_line(found.error)})"
            raise InputError(what, self.name, "leave out --strict to skip it") from found.error
        reason = storable(_first_line(found.error))
        self.skipped.append(name)
        self.reasons.append(reason)
        return Arrival(said, None, name, reason)


def stamp_of(files: Iterable[Path]) -> str:
    """A digest of files' sizes and times, which change when a file does."""
    state = hashlib.sha256()
    for path in files:
        try:
            status = path.stat()
            state.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
        except OSError:
            state.update(b"none\n")
    return state.hexdigest()[:32]


def missing_caption(
    name: str, source: object, todo: str = "caption every image, or leave it out"
) -> InputError:
    return InputError(f"no caption for the image {name}", source, todo)


def one_line(text: Any, source: object = None) -> str | None:
    """A caption on one line; the first of several; None for none, an empty one or NaN.

    Raises:
        InputError: what should be a caption is a table.
    """
    if isinstance(text, list | tuple):
        text = next(iter(text), None)
    if isinstance(text, dict | list | bytes):
        raise InputError(
            f"captions are {type(text).__name__}, not texts",
            source,
            "name another column with --caption-column",
        )
    if isinstance(text, float) and isnan(text):  # how tables and Python's JSON write a gap
        return None
    return None if text is None else " ".join(storable(str(text)).split()) or None


def storable(text: str) -> str:
    """The text as UTF-8 and HDF5 can hold it: no NUL, and lone surrogates, which stand for bytes
    of a file name that is no UTF-8, as escapes."""
    return text.replace("\0", " ").encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class _Unreadable:
    """A picture that could not be read, and why."""

    error: Exception


def _taken(place: int, entry: Entry, take: Take) -> Any:
    """What is taken of an entry's picture; a failure to take it is no fault of the picture's."""
    try:
        image = as_rgb(entry.read())
    except InputError:
        raise
    except Exception as error:  # Pillow's thirty decoders raise what they like on a bad file
        return _Unreadable(error)
    name, caption = storable(entry.id), entry.caption or ""
    return take(place, CaptionedImage(image, name, caption, entry.detail, entry.factors))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
