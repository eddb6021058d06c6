"""A folder of images, and the captions and attributes that lie in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from PIL import Image

from sithctl.errors import InputError
from sithctl.kinds import Factors
from sithctl.sources.images import SUFFIXES, Entry, Images, Wanted, missing_caption, stamp_of
from sithctl.sources.listings import Listing, listed, listing_of, visible
from sithctl.sources.metadata import NUMBERED, Said, several_splits
from sithctl.sources.pixels import decode

CLASS = "class"  # the attribute that a picture's first folder is


class Folder(Images):
    """The images below a folder, by path; what is hidden does not count.

    Captions come from the first that there is: ``metadata.jsonl`` or ``metadata.csv`` (the
    layout of Hugging Face's imagefolder, also in subfolders), ``captions.txt`` or
    ``captions.tsv`` (file name, tab, caption), a ``.txt`` beside each image. An image that is
    listed and not there counts as unreadable; one that is listed twice is refused.

    Attributes are the columns of ``metadata``, with Waterbirds' ``img_filename`` for
    ``file_name``, and ``class``, the folder that a picture lies in. A split is a subfolder of that
    name, or the rows whose column ``split`` says so (0, 1, 2 for train, val, test).

    Args:
        folder: where the images lie.
        wanted: captions, attributes, split, limit.
        table: a ``.csv`` or ``.jsonl`` in it to take for its metadata; others do not count then.
    """

    def __init__(self, folder: Path, wanted: Wanted, table: Path | None = None) -> None:
        name = folder.resolve().name if table is None else table.name
        folder, is_split = _split_of(folder, wanted)
        found = set() if table else set(pictures(folder))
        listing = Listing({})
        if table or wanted.captions or wanted.attributes or wanted.split:
            tables = listed(folder, [table], wanted) if table else None
            listing = tables or listing_of(folder, sorted(found), wanted)
        said = listing.said
        self.uses = listing.uses | {"split"} if is_split else listing.uses
        ids = sorted(set(said) if listing.alone else found | set(said))
        self.ids = ids[: wanted.limit]
        if not self.ids:
            raise InputError("no images in the folder", folder, "expected png, jpg, webp, …")
        if wanted.captions:
            _check_captions(self.ids, said, folder)
        if wanted.attributes:
            self.attributes = _attributes(ids, listing, folder)
        super().__init__(name, len(self.ids), wanted)
        self.folder, self.said = folder, said

    def stamp(self) -> str:
        return stamp_of(self.folder / name for name in self.ids)

    def entries(self) -> Iterator[Entry]:
        for name in self.ids:
            said = self.said.get(name, Said())
            known = self._known(name) if self.wanted.attributes else None
            read = partial(_open, self.folder / name)
            yield Entry(name, read, said.caption, said.detail, known)

    def values(self, column: str) -> set[str]:
        known = (self._known(name).get(column) for name in self.ids)
        return {value for value in known if value is not None}

    def _known(self, name: str) -> Factors:
        return {**_class(name), **(self.said.get(name, Said()).attributes or {})}


def pictures(folder: Path) -> list[str]:
    """The images below a folder, as paths within it."""
    found = (path for path in visible(folder) if path.suffix.lower() in SUFFIXES)
    return [path.relative_to(folder).as_posix() for path in found]


def _split_of(folder: Path, wanted: Wanted) -> tuple[Path, bool]:
    """The subfolder that is the split asked for, where there is one."""
    below = {path.name: path for path in folder.iterdir() if path.is_dir()}
    return (below[wanted.split], True) if wanted.split in below else (folder, False)


def _class(name: str) -> Factors:
    first, slash, _ = name.partition("/")
    return {CLASS: first} if slash else {}


def _attributes(ids: list[str], listing: Listing, folder: Path) -> dict[str, tuple[str, ...]]:
    """The columns that there are, and the folders that are classes."""
    folders = sorted({value for name in ids for value in _class(name).values()})
    if not listing.columns and len(folders) > 1 and all(name in NUMBERED for name in folders):
        raise several_splits(folders, folder)
    known: dict[str, tuple[str, ...]] = dict.fromkeys(listing.columns, ())
    return {CLASS: tuple(folders), **known} if folders else known


def _open(path: Path) -> Image.Image:
    return decode(path.read_bytes())


def _check_captions(ids: list[str], said: Mapping[str, Said], folder: Path) -> None:
    if not said:
        raise InputError(
            "images without captions",
            folder,
            "add metadata.csv or .jsonl, captions.txt, or a .txt beside each image",
        )
    missing = [name for name in ids if not said.get(name, Said()).caption]
    if missing:
        raise missing_caption(missing[0], folder)
