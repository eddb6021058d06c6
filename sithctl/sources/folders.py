"""A folder of images, and the captions that lie in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import Image

from sithctl.errors import InputError
from sithctl.sources.images import SUFFIXES, Entry, Images, Wanted, missing_caption, stamp_of
from sithctl.sources.listings import Listing, Texts, captions_of, visible
from sithctl.sources.pixels import decode


class Folder(Images):
    """The images below a folder, by path; what is hidden does not count.

    Captions come from the first that there is: ``metadata.jsonl`` or ``metadata.csv`` (the
    layout of Hugging Face's imagefolder, also in subfolders), ``captions.txt`` or
    ``captions.tsv`` (file name, tab, caption), a ``.txt`` beside each image. An image that is
    listed and not there counts as unreadable; one that is listed twice is refused.
    """

    def __init__(self, folder: Path, wanted: Wanted) -> None:
        found = set(pictures(folder))
        listing = captions_of(folder, found, wanted) if wanted.captions else Listing({})
        self.uses, texts = listing.uses, listing.texts
        self.ids = sorted(found | set(texts))[: wanted.limit]
        if not self.ids:
            raise InputError("no images in the folder", folder, "expected png, jpg, webp, …")
        if wanted.captions:
            _check_captions(self.ids, texts, folder)
        super().__init__(folder.resolve().name, len(self.ids), wanted)
        self.folder, self.texts = folder, texts

    def stamp(self) -> str:
        return stamp_of(self.folder / name for name in self.ids)

    def entries(self) -> Iterator[Entry]:
        for name in self.ids:
            caption, detail = self.texts.get(name, (None, None))
            yield Entry(name, partial(_open, self.folder / name), caption, detail)


def pictures(folder: Path) -> list[str]:
    """The images below a folder, as paths within it."""
    found = (path for path in visible(folder) if path.suffix.lower() in SUFFIXES)
    return [path.relative_to(folder).as_posix() for path in found]


def _open(path: Path) -> Image.Image:
    return decode(path.read_bytes())


def _check_captions(ids: list[str], texts: Texts, folder: Path) -> None:
    if not texts:
        raise InputError(
            "images without captions",
            folder,
            "add metadata.csv or .jsonl, captions.txt, or a .txt beside each image",
        )
    missing = [name for name in ids if not texts.get(name, (None, None))[0]]
    if missing:
        raise missing_caption(missing[0], folder)
