"""A folder of images, and the captions that lie in it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from sithctl.errors import InputError
from sithctl.sources.images import (
    CAPTION_COLUMNS,
    SUFFIXES,
    Entry,
    Images,
    Wanted,
    decode,
    missing_caption,
    one_line,
)

FILE_NAME = "file_name"
METADATA = ("metadata.jsonl", "metadata.csv")
LISTS = ("captions.txt", "captions.tsv")

Texts = Mapping[str, tuple[str | None, str | None]]  # id → caption, detail


class Folder(Images):
    """The images below a folder, by path.

    Captions come from the first that there is: ``metadata.jsonl`` or ``metadata.csv`` (the
    layout of Hugging Face's imagefolder, also in subfolders), ``captions.txt`` or
    ``captions.tsv`` (file name, tab, caption), a ``.txt`` beside each image. An image that is
    listed and not there counts as unreadable.
    """

    def __init__(self, folder: Path, wanted: Wanted) -> None:
        found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if _is_image(p)}
        texts: Texts = {}
        if wanted.captions:
            texts = _metadata(folder, wanted) or _lists(folder) or _side_cars(folder, found)
        self.ids = sorted(found | set(texts))[: wanted.limit]
        if not self.ids:
            raise InputError("no images in the folder", folder, "expected png, jpg, webp, …")
        if wanted.captions:
            _check_captions(self.ids, texts, folder)
        super().__init__(folder.resolve().name, len(self.ids), wanted)
        self.folder, self.texts = folder, texts

    def entries(self) -> Iterator[Entry]:
        for name in self.ids:
            caption, detail = self.texts.get(name, (None, None))
            yield Entry(name, partial(_open, self.folder / name), caption, detail)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


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


def _metadata(folder: Path, wanted: Wanted) -> Texts:
    for name in METADATA:
        texts: dict[str, tuple[str | None, str | None]] = {}
        for path in sorted(folder.rglob(name)):
            rows = _guarded(path, _json_rows if path.suffix == ".jsonl" else _csv_rows)
            below = path.parent.relative_to(folder)
            texts |= _texts_of(rows, path, below, wanted)
        if texts:
            return texts
    return {}


def _texts_of(
    rows: list[dict[str, Any]], path: Path, below: Path, wanted: Wanted
) -> dict[str, tuple[str | None, str | None]]:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    need_column(columns, FILE_NAME, path, "name the images in that column")
    caption = caption_column(columns, wanted, path)
    if wanted.detail_column:
        need_column(columns, wanted.detail_column, path, "name one with --detail-column")
    texts = {}
    for row in rows:
        name = _inside(str(row.get(FILE_NAME) or ""), below, path)
        detail = row.get(wanted.detail_column) if wanted.detail_column else None
        texts[name] = (one_line(row.get(caption)), one_line(detail))
    return texts


def _lists(folder: Path) -> Texts:
    """``captions.txt``: a file name, a tab, a caption; of several captions the first counts."""
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
            texts.setdefault(_inside(name.strip(), Path(), path), (one_line(caption), None))
    return texts


def _side_cars(folder: Path, names: set[str]) -> Texts:
    texts = {}
    for name in names:
        path = (folder / name).with_suffix(".txt")
        if path.is_file():
            texts[name] = (one_line(" ".join(_guarded(path, _lines))), None)
    return texts


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
    except (ValueError, csv.Error) as error:
        raise InputError(f"damaged ({error})", path, "write it again") from error
    except OSError as error:
        raise InputError("cannot be read", path, error.strerror or str(error)) from error


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8-sig").split("\n")


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, restkey=""))


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
