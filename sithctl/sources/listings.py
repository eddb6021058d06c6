"""What lies in a folder beside its images: metadata, a captions file, side-car files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sithctl.errors import InputError
from sithctl.sources.images import Wanted, one_line
from sithctl.sources.metadata import Said, guarded, inside, lines, new, read_metadata

METADATA = ("metadata.jsonl", "metadata.csv")
LISTS = ("captions.txt", "captions.tsv")
COLUMNS = frozenset({"caption_column", "detail_column"})


class Listing(NamedTuple):
    """What is said of a folder's images.

    Attributes:
        said: by id.
        uses: which fields of ``Wanted`` choose it.
        columns: of attributes.
        alone: images that are not listed do not count.
    """

    said: Mapping[str, Said]
    uses: frozenset[str] = frozenset()
    columns: tuple[str, ...] = ()
    alone: bool = False


def visible(folder: Path) -> Iterator[Path]:
    """What lies below a folder, but in no hidden one and no leftover of a Mac's archives."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if not any(part.startswith(".") or part == "__MACOSX" for part in parts):
            yield path


def listing_of(folder: Path, images: Iterable[str], wanted: Wanted) -> Listing:
    """The first that there is of metadata and, for captions, a captions file, and side-car files
    of ``images``.

    Raises:
        InputError: a list is damaged, names a file twice or one outside, or lacks a column.
    """
    for name in METADATA:
        tables = sorted(path for path in visible(folder) if path.name == name)
        listing = listed(folder, tables, wanted)
        if listing.said:
            return listing
    if not wanted.captions:
        return Listing({})
    return Listing(_lists(folder) or _side_cars(folder, images))


def listed(folder: Path, tables: list[Path], wanted: Wanted) -> Listing:
    """What tables say of the images of a folder."""
    said, columns, splits = read_metadata(folder, tables, wanted)
    uses = COLUMNS | {"split"} if splits else COLUMNS
    return Listing(said, uses, columns, alone=splits and wanted.split is not None)


def has_captions(folder: Path, images: Iterable[str]) -> bool:
    """Whether something in the folder looks like captions of its images."""
    found = any(path.name in METADATA for path in visible(folder))
    return (
        found
        or any((folder / name).is_file() for name in LISTS)
        or any((folder / name).with_suffix(".txt").is_file() for name in images)
    )


def _lists(folder: Path) -> Mapping[str, Said]:
    """``captions.txt``: a file name, a tab, a caption."""
    path = next((folder / name for name in LISTS if (folder / name).is_file()), None)
    if path is None:
        return {}
    said: dict[str, Said] = {}
    for number, line in enumerate(guarded(path, lines), start=1):
        name, tab, caption = line.partition("\t")
        if line.strip() and not tab:
            raise InputError(
                f"line {number} has no tab", path, "write a file name, a tab, a caption"
            )
        if line.strip():
            name = new(said, inside(name.strip(), Path(), path), path)
            said[name] = Said(one_line(caption))
    return said


def _side_cars(folder: Path, names: Iterable[str]) -> Mapping[str, Said]:
    said = {}
    for name in names:
        path = (folder / name).with_suffix(".txt")
        if path.is_file():
            said[name] = Said(one_line(" ".join(guarded(path, lines))))
    return said
