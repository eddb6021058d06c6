"""Data sets of Hugging Face's ``datasets``: on disk, as data files, or from the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from sithctl.errors import InputError
from sithctl.sources.folders import caption_column, need_column
from sithctl.sources.images import Entry, Images, Wanted, decode, missing_caption, one_line
from sithctl.sources.remote import Web, is_address

ID_COLUMNS = ("image_id", "id", "file_name")
DATA_FILES = {".parquet": "parquet", ".arrow": "arrow"}


class Dataset(Images):
    """The image column of a data set, with its captions.

    Args:
        rows: a ``datasets.Dataset``, or an ``IterableDataset`` that is read as it arrives.
        name: of the source.
        wanted: columns and limit.

    An image is what the library decodes, a file's bytes, or a web address to fetch.
    """

    def __init__(self, rows: Any, name: str, wanted: Wanted) -> None:
        columns = _columns(rows)
        need_column(columns, wanted.image_column, name, "name one with --image-column")
        self.caption = caption_column(columns, wanted, name) if wanted.captions else None
        self.detail = wanted.detail_column if wanted.captions else None
        if self.detail:
            need_column(columns, self.detail, name, "name one with --detail-column")
        if wanted.id_column:
            need_column(columns, wanted.id_column, name, "name one with --id-column")
        self.id = wanted.id_column or next((c for c in ID_COLUMNS if c in columns), None)
        needed = (wanted.image_column, self.caption, self.detail, self.id)
        rows = rows.select_columns(list(dict.fromkeys(filter(None, needed))))
        self.rows = _limited(_undecoded(rows, wanted.image_column), wanted.limit)
        self.web = Web()
        super().__init__(name, _count(self.rows, wanted.limit), wanted)
        if self.caption and hasattr(self.rows, "__len__"):
            self._check_captions(self.caption)  # now, not after an hour of encoding

    def _check_captions(self, column: str) -> None:
        for i, row in enumerate(self.rows.select_columns([column])):
            if one_line(row[column]) is None:
                raise missing_caption(self._name(i, self.rows[i]), self.name)

    def entries(self) -> Iterator[Entry]:
        for i, row in enumerate(_arriving(self.rows, self.name)):
            image = row[self.wanted.image_column]
            yield Entry(
                self._name(i, row),
                partial(self._open, image),
                one_line(row[self.caption]) if self.caption else None,
                one_line(row[self.detail]) if self.detail else None,
            )

    def _name(self, number: int, row: dict[str, Any]) -> str:
        value = row[self.id] if self.id else None
        return str(value) if isinstance(value, str | int) else str(number)

    def _open(self, value: Any) -> Image.Image:
        import datasets

        if isinstance(value, dict):
            return datasets.Image().decode_example(value)
        if isinstance(value, bytes):
            return decode(value)
        if isinstance(value, Image.Image):
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


def _columns(rows: Any) -> list[str]:
    return list(rows.column_names or next(iter(rows), {}))


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
            raise InputError(f"the data set breaks off ({_first(error)})", name) from error
        yield row


def stored_dataset(folder: Path, wanted: Wanted) -> Images:
    """A data set that ``save_to_disk`` wrote."""
    datasets = _library()
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # datasets raises what Arrow, JSON and the file system raise
        raise InputError("not a whole data set", folder, "write it with save_to_disk") from error
    if isinstance(loaded, datasets.DatasetDict):
        loaded = loaded[_split(wanted.split, list(loaded), folder)]
    return Dataset(loaded, folder.resolve().name, wanted)


def data_files(path: Path, wanted: Wanted) -> Images:
    """Parquet or Arrow files: one, or a folder of them, read without a copy in any cache."""
    datasets = _library()
    if path.is_dir():
        load = partial(datasets.load_dataset, str(path), streaming=True)
    else:
        kind, name = DATA_FILES[path.suffix.lower()], str(path)
        load = partial(datasets.load_dataset, kind, data_files=name, streaming=True)
    loaded = _loaded(load, path, "give Parquet or Arrow files that `datasets` reads")
    rows = loaded[_split(wanted.split, list(loaded), path)]
    return Dataset(rows, path.resolve().name, wanted)


def hub_dataset(name: str, wanted: Wanted) -> Images:
    """A data set of the hub, by its name there.

    Raises:
        InputError: it cannot be reached or found, or is not one that data files make up.
    """
    datasets = _library()
    todo = (
        f"without a network, bring it: load_dataset({name!r}).save_to_disk(FOLDER) where there "
        "is one, and give FOLDER"
    )
    split = wanted.split
    if split is None:
        names = _loaded(partial(datasets.get_dataset_split_names, name), name, todo)
        split = _split(None, names, name)
    load = partial(datasets.load_dataset, name, split=split, streaming=wanted.streaming)
    return Dataset(_loaded(load, name, todo), name, wanted)


def _loaded(load: Callable[[], Any], where: object, todo: str) -> Any:
    try:
        return load()
    except Exception as error:  # a network's, a hub's and a dozen formats' ways to fail
        raise InputError(f"the data set cannot be loaded ({_first(error)})", where, todo) from error


def _split(split: str | None, names: list[str], where: object) -> str:
    if split is None and len(names) == 1:
        return names[0]
    if split not in names:
        raise InputError(
            f"the data set has no split {split}" if split else "the data set has several splits",
            where,
            f"name one with --split: {', '.join(names)}",
        )
    return split


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _library() -> Any:
    import datasets

    datasets.disable_progress_bars()  # progress is the commands' to show
    datasets.logging.set_verbosity_error()
    return datasets
