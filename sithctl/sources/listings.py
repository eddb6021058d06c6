"""The captions that lie in a folder of images: metadata, a captions file, side-car files."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sithctl.errors import InputError
from sithctl.sources.images import CAPTION_COLUMNS, Wanted, one_line

FILE_NAME = "file_name"
METADATA = ("metadata.jsonl", "metadata.csv")
LISTS = ("captions.txt", "captions.tsv")
COLUMNS = frozenset({"caption_column", "detail_column"})

Texts = Mapping[str, tuple[str | None, str | None]]  # id → caption, detail


class Listing(NamedTuple):
    """What is said of a folder's images, and which fields of ``Wanted`` choose it."""

    texts: Texts
    uses: frozenset[str] = frozenset()


def visible(folder: Path) -> Iterator[Path]:
    """What lies below a folder, but in no hidden one and no leftover of a Mac's archives."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if not any(part.startswith(".") or part == "__MACOSX" for part in parts):
            yield path


def captions_of(folder: Path, images: Iterable[str], wanted: Wanted) -> Listing:
    """The first that there is of metadata, a captions file, and side-car files of ``images``.

    Raises:
        InputError: a list is damaged, names a file twice or one outside, or lacks a column.
    """
    metadata = _metadata(folder, wanted)
    if metadata:
        return Listing(metadata, COLUMNS)
    return Listing(_lists(folder) or _side_cars(folder, images))


def has_captions(folder: Path, images: Iterable[str]) -> bool:
    """Whether something in the folder looks like captions of its images."""
    listed = any(path.name in METADATA for path in visible(folder))
    return (
        listed
        or any((folder / name).is_file() for name in LISTS)
        or any((folder / name).with_suffix(".txt").is_file() for name in images)
    )


def _metadata(folder: Path, wanted: Wanted) -> Texts:
    for name in METADATA:
        texts: dict[str, tuple[str | None, str | None]] = {}
        for path in sorted(path for path in visible(folder) if path.name == name):
            rows = _guarded(path, _json_rows if path.suffix == ".jsonl" else _csv_rows)
            _add(texts, rows, path, path.parent.relative_to(folder), wanted)
        if texts:
            return texts
    return {}


def _add(
    texts: dict[str, tuple[str | None, str | None]],
    rows: list[dict[str, Any]],
    path: Path,
    below: Path,
    wanted: Wanted,
) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    need_column(columns, FILE_NAME, path, "name the images in that column")
    caption = caption_column(columns, wanted, path)
    if wanted.detail_column:
        need_column(columns, wanted.detail_column, path, "name one with --detail-column")
    for row in rows:
        name = _new(texts, _inside(str(row.get(FILE_NAME) or ""), below, path), path)
        detail = row.get(wanted.detail_column) if wanted.detail_column else None
        texts[name] = (one_line(row.get(caption), path), one_line(detail, path))


def _lists(folder: Path) -> Texts:
    """``captions.txt``: a file name, a tab, a caption."""
    path = next((folder / name for name in LISTS if (folder / name).is_file()), None)
    if path is None:
        return {}
    texts: dict[str, tuple[str | None, str | None]] = {}
    for number, line in enumerate(_guarded(path, _lines), start=1):
        name, tab, caption = line.partition("\t")
        if line.strip() and not tab:
            raise InputError(
                f"line {number} has no tab", path, "write a file name, a tab, a caption"
            )
        if line.strip():
            name = _new(texts, _inside(name.strip(), Path(), path), path)
            texts[name] = (one_line(caption), None)
    return texts


def _side_cars(folder: Path, names: Iterable[str]) -> Texts:
    texts = {}
    for name in names:
        path = (folder / name).with_suffix(".txt")
        if path.is_file():
            texts[name] = (one_line(" ".join(_guarded(path, _lines))), None)
    return texts


def _new(texts: Texts, name: str, listed: Path) -> str:
    if name in texts:
        raise InputError(f"the file {name} is named twice", listed, "keep one caption of it")
    return name


def _inside(name: str, below: Path, listed: Path) -> str:
    """The id of a listed file; what points outside the folder is not read."""
    path = PurePosixPath(below.as_posix()) / name.replace("\\", "/")
    if not name or path.is_absolute() or ".." in path.parts:
        raise InputError(f"the file name {name!r} is not below the folder", listed, "correct it")
    return path.as_posix()


def _guarded(path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(path)
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8 text (byte {error.start})", path, "convert it, e.g. with iconv"
        ) from error
    except (ValueError, csv.Error, RecursionError) as error:
        raise InputError(f"damaged ({error})", path, "write it again") from error
    except OSError as error:
        raise InputError("cannot be read", path, error.strerror or str(error)) from error


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8-sig").split("\n")


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the module's own is 128 KiB
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        rows = []
        for cells in filter(None, reader):
            if len(cells) > len(header):
                raise InputError(
                    f"line {reader.line_num} has {len(cells)} columns where the header has "
                    f"{len(header)}",
                    path,
                    "put a caption with a comma in double quotes",
                )
            rows.append(dict(zip(header, cells, strict=False)))
    return rows


def _json_rows(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in _lines(path) if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is no JSON object")
    return rows


def need_column(columns: list[str], name: str, where: object, todo: str) -> None:
    """Raise an ``InputError`` that lists the columns unless ``name`` is one of them."""
    if name not in columns:
        have = ", ".join(filter(None, columns)) or "none"
        raise InputError(f"there is no column {name}", where, f"{todo}: {have}")


def caption_column(columns: list[str], wanted: Wanted, where: object) -> str:
    """The column of captions: the one asked for, or the first usual one."""
    if wanted.caption_column is None:
        found = next((name for name in CAPTION_COLUMNS if name in columns), None)
        if found:
            return found
    name = wanted.caption_column or CAPTION_COLUMNS[0]
    need_column(columns, name, where, "name one with --caption-column")
    return name
