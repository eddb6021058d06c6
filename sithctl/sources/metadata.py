"""Tables beside images, ``metadata.jsonl`` or ``metadata.csv``: captions, attributes, splits."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sithctl.errors import InputError
from sithctl.kinds import Factors
from sithctl.sources.columns import attribute, caption_column, file_column, need_column
from sithctl.sources.images import Wanted, one_line

SPLIT = "split"
# Waterbirds and its kin number their splits.
NUMBERED = {"train": "0", "val": "1", "validation": "1", "valid": "1", "test": "2"}


class Said(NamedTuple):
    """What is said of one image."""

    caption: str | None = None
    detail: str | None = None
    attributes: Factors | None = None


class Metadata(NamedTuple):
    """What tables say of a folder's images.

    Attributes:
        said: by id.
        columns: of attributes.
        splits: whether a split was chosen by them.
    """

    said: dict[str, Said]
    columns: tuple[str, ...] = ()
    splits: bool = False


def read_metadata(folder: Path, tables: list[Path], wanted: Wanted) -> Metadata:
    """What some tables of one folder say, each of the images below where it lies.

    Raises:
        InputError: a table is damaged, names a file twice or one outside, or lacks a column.
    """
    said: dict[str, Said] = {}
    known: dict[str, None] = {}
    splits = False
    for path in tables:
        rows = guarded(path, _json_rows if path.suffix == ".jsonl" else _csv_rows)
        if not rows:
            raise InputError("the table has no rows", path, "list an image a row")
        columns = list(dict.fromkeys(name for row in rows for name in row))
        if SPLIT in columns:
            splits, rows = True, _of_split(rows, wanted, path)
        _add(said, rows, columns, path, path.parent.relative_to(folder), wanted)
        known |= dict.fromkeys(filter(None, columns))
    return Metadata(said, tuple(known), splits)


def _add(
    said: dict[str, Said],
    rows: list[dict[str, Any]],
    columns: list[str],
    path: Path,
    below: Path,
    wanted: Wanted,
) -> None:
    file = file_column(columns, path)
    caption = caption_column(columns, wanted, path) if wanted.captions else ""
    detail = wanted.detail_column if wanted.captions else None
    if detail:
        need_column(columns, detail, path, "name one with --detail-column")
    for row in rows:
        name = new(said, inside(str(row.get(file) or ""), below, path), path)
        said[name] = Said(
            one_line(row.get(caption), path),
            one_line(row.get(detail), path) if detail else None,
            _attributes(row) if wanted.attributes else None,
        )


def _attributes(row: dict[str, Any]) -> Factors:
    known = {name: attribute(value) for name, value in row.items() if name}
    return {name: value for name, value in known.items() if value is not None}


def _of_split(rows: list[dict[str, Any]], wanted: Wanted, path: Path) -> list[dict[str, Any]]:
    """The rows of the split asked for: all of them where none is and none need be."""
    there = sorted({str(attribute(row.get(SPLIT))) for row in rows})
    if wanted.split is None:
        if wanted.attributes and len(there) > 1:
            raise several_splits(there, path)
        return rows
    name = wanted.split if wanted.split in there else NUMBERED.get(wanted.split, "")
    if name not in there:
        todo = f"name one with --split: {', '.join(there)}"
        raise InputError(f"there is no split {wanted.split}", path, todo)
    return [row for row in rows if attribute(row.get(SPLIT)) == name]


def several_splits(names: list[str], where: object) -> InputError:
    back = {"0": "train", "1": "val", "2": "test"}
    numbered = all(name in back for name in names)
    shown = ", ".join(back[name] if numbered else name for name in names)
    return InputError("there are several splits", where, f"name one with --split: {shown}")


def new(said: Mapping[str, Said], name: str, listed: Path) -> str:
    """A name that is not among those said already."""
    if name in said:
        raise InputError(f"the file {name} is named twice", listed, "keep one caption of it")
    return name


def inside(name: str, below: Path, listed: Path) -> str:
    """The id of a listed file; what points outside the folder is not read."""
    path = PurePosixPath(below.as_posix()) / name.replace("\\", "/")
    if not name or path.is_absolute() or ".." in path.parts:
        raise InputError(f"the file name {name!r} is not below the folder", listed, "correct it")
    return path.as_posix()


def guarded(path: Path, read: Callable[[Path], Any]) -> Any:
    """What ``read`` makes of a file; what can ail it as an ``InputError``."""
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


def lines(path: Path) -> list[str]:
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
    rows = [json.loads(line) for line in lines(path) if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is no JSON object")
    return rows
