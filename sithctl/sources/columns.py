"""Which columns of a table are meant: those named, or the first usual ones."""

from __future__ import annotations

from collections.abc import Collection
from math import isnan
from typing import Any

from sithctl.errors import InputError
from sithctl.sources.images import CAPTION_COLUMNS, Wanted, storable

FILE_COLUMNS = ("file_name", "img_filename")  # Hugging Face's imagefolder; Waterbirds


def need_column(columns: Collection[str], name: str, where: object, todo: str) -> None:
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


def file_column(columns: list[str], where: object) -> str:
    """The column that names image files."""
    name = next((name for name in FILE_COLUMNS if name in columns), FILE_COLUMNS[0])
    need_column(columns, name, where, "name the images in that column")
    return name


def attribute(value: Any) -> str | None:
    """A cell as an attribute's value; None for a gap and for what is no single value.

    >>> attribute(1.0), attribute(" wet "), attribute(float("nan")), attribute([1])
    ('1', 'wet', None, None)
    """
    if isinstance(value, float):  # how tables write whole numbers where there are gaps
        if isnan(value):
            return None
        value = int(value) if value.is_integer() else value
    if not isinstance(value, str | int | float):
        return None
    return " ".join(storable(str(value)).split()) or None
