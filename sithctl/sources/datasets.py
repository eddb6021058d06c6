"""Rows of a data set of Hugging Face's ``datasets`` as captioned images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from sithctl.errors import InputError
from sithctl.kinds import Factors
from sithctl.sources.columns import attribute, caption_column, need_column
from sithctl.sources.images import Entry, Images, Wanted, missing_caption, one_line
from sithctl.sources.pixels import check_size, decode
from sithctl.sources.remote import Web, is_address

ID_COLUMNS = ("image_id", "id", "file_name")
COLUMNS = frozenset({"image_column", "caption_column", "detail_column", "id_column"})


class Dataset(Images):
    """The image column of a data set, with its captions.

    Args:
        rows: a ``datasets.Dataset``, or an ``IterableDataset`` that is read as it arrives.
        name: of the source.
        wanted: columns and limit.
        folder: of the data set; its rows may name files in it.
        chosen: which fields of ``Wanted`` have chosen the rows.
        alone: reads some columns again without the others, where that is cheap.

    An image is what the library decodes, a file's bytes, or a web address to fetch. A file that a
    row merely names must lie in the data set's folder: rows come from elsewhere, and could name
    any file of the user's.
    """

    def __init__(
        self,
        rows: Any,
        name: str,
        wanted: Wanted,
        *,
        folder: Path | None = None,
        chosen: Collection[str] = (),
        alone: Callable[[list[str]], Any] | None = None,
    ) -> None:
        columns = _columns(rows)
        if not columns or (hasattr(rows, "__len__") and not len(rows)):
            raise empty(name)
        need_column(columns, wanted.image_column, name, "name one with --image-column")
        self.caption = caption_column(columns, wanted, name) if wanted.captions else None
        self.detail = wanted.detail_column if wanted.captions else None
        if self.detail:
            need_column(columns, self.detail, name, "name one with --detail-column")
        if wanted.id_column:
            need_column(columns, wanted.id_column, name, "name one with --id-column")
        self.id = wanted.id_column or next((c for c in ID_COLUMNS if c in columns), None)
        if wanted.attributes:
            self.attributes = _attributes(rows, columns, wanted.image_column)
        needed = (wanted.image_column, self.caption, self.detail, self.id, *self.attributes)
        self.folder, self.uses = folder, COLUMNS | frozenset(chosen)
        # The library's own builder of folders makes the paths itself, from what it has unpacked.
        self.trusted = getattr(rows.info, "builder_name", None) == "imagefolder"
        rows = rows.select_columns(list(dict.fromkeys(filter(None, needed))))
        self.rows = _limited(_undecoded(rows, wanted.image_column), wanted.limit)
        self.web = Web()
        super().__init__(name, _count(self.rows, wanted.limit), wanted)
        if self.caption and (alone or hasattr(self.rows, "__len__")):
            read = list(dict.fromkeys(filter(None, (self.caption, self.id))))
            # Now, not after an hour of encoding.
            texts = _limited(alone(read), wanted.limit) if alone else self.rows.select_columns(read)
            self._check_captions(texts, self.caption)

    def _check_captions(self, texts: Any, column: str) -> None:
        i = -1
        for i, row in enumerate(_arriving(texts, self.name)):
            if one_line(row[column], self.name) is None:
                raise missing_caption(self._name(i, row), self.name)
        if i < 0:
            raise empty(self.name)

    def stamp(self) -> Any:
        return getattr(self.rows, "_fingerprint", None)  # the library's own, of a data set on disk

    def entries(self) -> Iterator[Entry]:
        for i, row in enumerate(_arriving(self.rows, self.name)):
            image = row[self.wanted.image_column]
            yield Entry(
                self._name(i, row),
                partial(self._open, image),
                one_line(row[self.caption], self.name) if self.caption else None,
                one_line(row[self.detail], self.name) if self.detail else None,
                self._known(row) if self.wanted.attributes else None,
            )

    def values(self, column: str) -> set[str] | None:
        if not hasattr(self.rows, "__len__"):
            return None
        rows = _arriving(self.rows.select_columns([column]), self.name)
        found = {self._value(column, row[column]) for row in rows}
        return {value for value in found if value is not None}

    def _known(self, row: dict[str, Any]) -> Factors:
        known = {column: self._value(column, row[column]) for column in self.attributes}
        return {column: value for column, value in known.items() if value is not None}

    def _value(self, column: str, value: Any) -> str | None:
        """An attribute's: of a class label its name, and none where it is −1."""
        names = self.attributes[column]
        if names and isinstance(value, int):
            return names[value] if 0 <= value < len(names) else None
        return attribute(value)

    def _name(self, number: int, row: dict[str, Any]) -> str:
        value = row[self.id] if self.id else None
        return str(value) if isinstance(value, str | int) else str(number)

    def _open(self, value: Any) -> Image.Image:
        if isinstance(value, dict):
            return self._of_file(value)
        if isinstance(value, bytes):
            return decode(value)
        if isinstance(value, Image.Image):
            check_size(value)
            return value
        if isinstance(value, str) and is_address(value):
            return decode(self.web.fetch(value))
        if value is None:
            raise ValueError("no image")
        column = self.wanted.image_column
        raise InputError(
            f"column {column} holds {type(value).__name__}, not images",
            self.name,
            "name another with --image-column",
        )

    def _of_file(self, value: dict[str, Any]) -> Image.Image:
        """An image of the library's: a file's bytes, or where it lies."""
        import datasets

        content, name = value.get("bytes"), value.get("path")
        if content is not None:
            return decode(content)
        if not name:
            raise ValueError("no image")
        if self.trusted:
            image: Image.Image = datasets.Image().decode_example(value)
            check_size(image)
            return image
        if self.folder is None or not _is_below(name, self.folder):
            raise InputError(
                f"a row names a file outside the data set, {name}",
                self.name,
                "embed the images in it, as save_to_disk does",
            )
        return decode((self.folder / name).read_bytes())


def _is_below(name: str, folder: Path) -> bool:
    inside = (folder / name).resolve().is_relative_to(folder.resolve())
    return inside and not Path(name).is_absolute() and "://" not in name


def _columns(rows: Any) -> list[str]:
    return list(rows.column_names or next(iter(rows), {}))


def _attributes(rows: Any, columns: list[str], image: str) -> dict[str, tuple[str, ...]]:
    """The columns that hold single values, and the names of class labels."""
    import datasets

    features = rows.features or dict.fromkeys(columns, datasets.Value("string"))
    return {
        name: tuple(getattr(feature, "names", ()))
        for name, feature in features.items()
        if name != image and isinstance(feature, datasets.Value | datasets.ClassLabel)
    }


def _undecoded(rows: Any, column: str) -> Any:
    """The files as they are: a corrupt one must fail alone, and decoding is done in threads."""
    import datasets

    feature = (rows.features or {}).get(column)
    if isinstance(feature, datasets.Image):
        return rows.cast_column(column, datasets.Image(decode=False))
    return rows


def _limited(rows: Any, limit: int | None) -> Any:
    if not hasattr(rows, "__len__"):
        return rows if limit is None else rows.take(limit)
    return rows.select(range(min(len(rows), limit or len(rows))))


def _count(rows: Any, limit: int | None) -> int:
    if hasattr(rows, "__len__"):
        return len(rows)
    known = (rows.info.splits or {}).get(str(rows.split))
    total = known.num_examples if known is not None else 0
    return min(total, limit) if total and limit else total or limit or 0


def _arriving(rows: Any, name: str) -> Iterator[dict[str, Any]]:
    iterator = iter(rows)
    while True:
        try:
            row = next(iterator)
        except StopIteration:
            return
        except Exception as error:  # what Arrow, the file system and the network raise
            raise InputError(f"the data set breaks off ({first_line(error)})", name) from error
        yield row


def empty(where: object) -> InputError:
    return InputError("the data set is empty", where, "give one with images")


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
