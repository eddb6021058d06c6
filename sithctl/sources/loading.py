"""Data sets of Hugging Face's ``datasets``: on disk, as data files, or from the hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sithctl.errors import InputError
from sithctl.sources.datasets import Dataset, empty, first_line
from sithctl.sources.folders import pictures
from sithctl.sources.images import Images, Wanted

DATA_FILES = {".parquet": "parquet", ".arrow": "arrow"}


def stored_dataset(folder: Path, wanted: Wanted) -> Images:
    """A data set that ``save_to_disk`` wrote."""
    datasets = _library()
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # datasets raises what Arrow, JSON and the file system raise
        if _has_no_rows(folder):
            raise empty(folder) from error
        raise InputError("not a whole data set", folder, "write it with save_to_disk") from error
    several = isinstance(loaded, datasets.DatasetDict)
    if several:
        loaded = loaded[_split(wanted.split, list(loaded), folder)]
    chosen = ("split",) if several else ()
    return Dataset(loaded, folder.resolve().name, wanted, folder=folder, chosen=chosen)


def _has_no_rows(folder: Path) -> bool:
    """Whether ``save_to_disk`` was given no rows: then it writes no file, and the library fails."""
    try:
        state = json.loads((folder / "state.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(state, dict) and state.get("_data_files") == []


def data_files(path: Path, wanted: Wanted) -> Images:
    """Parquet or Arrow files: one, or a folder of them, read without a copy in any cache."""
    datasets = _library()
    load: Callable[..., Any]
    if not path.is_dir():
        kind, name = DATA_FILES[path.suffix.lower()], str(path)
        load = partial(datasets.load_dataset, kind, data_files=name, streaming=True)
    elif pictures(path):
        load = partial(_by_split, path)
    else:
        load = partial(datasets.load_dataset, str(path), streaming=True)
    todo = "give Parquet or Arrow files that `datasets` reads"
    loaded = _loaded(load, path, todo)
    split = _split(wanted.split, list(loaded), path)

    def alone(columns: list[str]) -> Any:
        if loaded[split].info.builder_name != "parquet":
            return loaded[split].select_columns(columns)
        return _loaded(partial(load, columns=columns), path, todo)[split]

    folder = path if path.is_dir() else path.parent
    more: dict[str, Any] = {"folder": folder, "chosen": ("split",), "alone": alone}
    return Dataset(loaded[split], path.resolve().name, wanted, **more)


def _by_split(folder: Path, **more: Any) -> Any:
    """As the library loads a folder, but blind to the pictures beside its data files, which
    would have it take the folder for one of images."""
    import datasets
    from datasets.data_files import DataFilesDict, get_data_patterns

    patterns = get_data_patterns(str(folder))
    found = DataFilesDict.from_patterns(patterns, base_path=str(folder))
    names = [name for files in found.values() for name in files]
    suffix = next(s for s in DATA_FILES if any(Path(name).suffix.lower() == s for name in names))
    files = {
        s: [n for n in names if Path(n).suffix.lower() == suffix] for s, names in found.items()
    }
    files = {split: names for split, names in files.items() if names}
    kind = DATA_FILES[suffix]
    return datasets.load_dataset(kind, data_files=files, streaming=True, **more)


def hub_dataset(name: str, wanted: Wanted, *, meant: bool = True) -> Images:
    """A data set of the hub, by its name there.

    Args:
        meant: the user said that it is one of the hub, rather than giving what may be a path.

    Raises:
        InputError: it cannot be reached or found, or is not one that data files make up.
    """
    datasets = _library()
    todo = (
        f"without a network, bring it: load_dataset({name!r}).save_to_disk(FOLDER) where there "
        "is one, and give FOLDER"
    )
    todo = todo if meant else f"there is no such folder, and {todo}"
    split = wanted.split
    if split is None:
        names = _loaded(partial(datasets.get_dataset_split_names, name), name, todo)
        split = _split(None, names, name)
    load = partial(datasets.load_dataset, name, split=split, streaming=wanted.streaming)
    return Dataset(_loaded(load, name, todo), name, wanted, chosen=("split", "streaming"))


def _loaded(load: Callable[[], Any], where: object, todo: str) -> Any:
    try:
        return load()
    except Exception as error:  # a network's, a hub's and a dozen formats' ways to fail
        raise InputError(
            f"the data set cannot be loaded ({first_line(error)})", where, todo
        ) from error


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


def _library() -> Any:
    import datasets

    datasets.disable_progress_bars()  # progress is the commands' to show
    datasets.logging.set_verbosity_error()
    return datasets
