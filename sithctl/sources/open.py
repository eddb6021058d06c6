"""Which kind of source a name means, and opening it."""

from __future__ import annotations

import re
from pathlib import Path

from sithctl.errors import InputError
from sithctl.sources.folders import Folder, pictures
from sithctl.sources.images import SUFFIXES, Images, Wanted
from sithctl.sources.listings import has_captions, visible
from sithctl.sources.recipes import RECIPES
from sithctl.sources.webdataset import TARS, WebDataset, is_shard
from sithctl.sources.wordnet import holds_wordnet, is_wordnet

SCENES = "scenes"
SCENES_IMAGES = "scenes:images"
WORLDS = "scenes:"  # begins the names of all others
TABLES = frozenset({".csv", ".jsonl"})
HUB = "hf:"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_LISTS = frozenset({".txt", ".tsv", ".csv", ".gz", ".json", ".jsonl", ".h5", ".hdf5"})


def is_images(source: str) -> bool:
    """Whether a SOURCE is of images, where it could also be of texts.

    Images are ``scenes:images`` and its kin, recipes, ``hf:NAME`` and a hub name that is no
    file's, tars, Parquet and Arrow files, and every folder, but for WordNet's folder and archive.
    So is a single picture, for ``open_images`` to refuse.
    """
    path = Path(source)
    if _is_world(source) or source in RECIPES or source.startswith(HUB):
        return True
    if path.is_dir():
        return not is_wordnet(path)
    if _is_tar(source):
        return not holds_wordnet(path)
    return _is_data_file(path) or _is_picture(path) or _is_hub_name(source)


def open_images(source: str, wanted: Wanted | None = None) -> Images:
    """Images of a source.

    Args:
        source: a folder of images, of tars or of Parquet files; a data set that ``save_to_disk``
            wrote or, by ``hf:NAME``, of the hub; tars; a ``.csv`` or ``.jsonl`` that lists images
            below its folder; a recipe; ``scenes`` as the bundled model was trained on them, or
            another of ``sources.rendered.WORLDS``.
        wanted: columns, limit, whether captions are needed.

    Raises:
        InputError: there is no such source, no image in it, or not the columns asked for.
    """
    wanted = wanted or Wanted()
    if source in RECIPES and not Path(source).exists():
        recipe = RECIPES[source]
        return _open(recipe.source, recipe.wanted(wanted))
    return _open(source, wanted)


def _open(source: str, wanted: Wanted) -> Images:
    path = Path(source)
    if source == SCENES or _is_world(source):
        from sithctl.sources.rendered import world

        return world(source, wanted)
    if path.is_dir():
        return _of_folder(path, wanted)
    if _is_tar(source):
        return WebDataset(source, wanted)
    if _is_data_file(path) and path.is_file():
        from sithctl.sources.loading import data_files

        return data_files(path, wanted)
    if path.suffix.lower() in TABLES and path.is_file():
        return Folder(path.parent, wanted, table=path)
    if source.startswith(HUB) or _is_hub_name(source):
        from sithctl.sources.loading import hub_dataset

        return hub_dataset(source.removeprefix(HUB), wanted, meant=source.startswith(HUB))
    if _is_picture(path) and path.is_file():
        raise InputError("an image file", source, "give the folder it is in")
    raise InputError(
        "no such folder",
        source,
        "give a folder of images, a data set, tars, or `scenes`",
    )


def _of_folder(folder: Path, wanted: Wanted) -> Images:
    if any((folder / name).exists() for name in ("dataset_dict.json", "state.json")):
        from sithctl.sources.loading import stored_dataset

        return stored_dataset(folder, wanted)
    lone = pictures(folder)
    if lone and has_captions(folder, lone):
        return Folder(folder, wanted)
    # A picture without a caption, such as a data set's logo, does not make a folder of images.
    if not lone and any(map(is_shard, folder.iterdir())):
        return WebDataset(str(folder), wanted)
    if _holds_data_files(folder, deep=not lone):
        from sithctl.sources.loading import data_files

        return data_files(folder, wanted)
    return Folder(folder, wanted)


def _holds_data_files(folder: Path, *, deep: bool) -> bool:
    """Whether Parquet or Arrow files lie there: at the top or in ``data``, or anywhere below."""
    found = visible(folder) if deep else (p for d in (folder, folder / "data") for p in d.glob("*"))
    return any(map(_is_data_file, found))


def _is_world(source: str) -> bool:
    return source.startswith(WORLDS) and not Path(source).exists()


def _is_tar(source: str) -> bool:
    return source.lower().endswith(TARS)


def _is_data_file(path: Path) -> bool:
    return path.suffix.lower() in {".parquet", ".arrow"}


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _is_hub_name(source: str) -> bool:
    """``owner/name``, where no file and no folder of ours is meant."""
    path = Path(source)
    is_local = path.exists() or path.parent.is_dir() or path.suffix.lower() in _LISTS
    return bool(_HUB_NAME.fullmatch(source)) and not is_local and not source.startswith(".")
