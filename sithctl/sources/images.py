"""Images from a folder, a Hugging Face dataset on disk, or the rendered world."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from sithctl.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"})
WORLD_SIZE = 4096


@dataclass
class Images(ABC):
    """Images one after another.

    Attributes:
        name: of the source, for history.
        count: how many there are to read.
        skipped: the names of those that could not be read, known after reading.
    """

    name: str
    count: int
    skipped: list[str] = field(default_factory=list)

    @abstractmethod
    def __iter__(self) -> Iterator[Image.Image]: ...


class Folder(Images):
    """The images below a folder, by path."""

    def __init__(self, folder: Path, limit: int | None) -> None:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)[:limit]
        if not paths:
            raise InputError("no images in the folder", folder, "expected png, jpg, webp, …")
        super().__init__(folder.name, len(paths))
        self.paths = paths

    def __iter__(self) -> Iterator[Image.Image]:
        self.skipped.clear()
        for path in self.paths:
            try:
                with Image.open(path) as image:
                    yield image.convert("RGB")
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                self.skipped.append(str(path))


class Dataset(Images):
    """The image column of a dataset that ``save_to_disk`` wrote."""

    def __init__(self, folder: Path, split: str | None, column: str, limit: int | None) -> None:
        rows = _load(folder, split)
        if column not in rows.column_names:
            raise InputError(
                f"the data set has no column {column}",
                folder,
                f"name one with --image-column: {', '.join(rows.column_names)}",
            )
        self.rows = rows.select(range(min(len(rows), limit or len(rows))))
        self.column = column
        if not len(self.rows):
            raise InputError("the data set is empty", folder)
        super().__init__(folder.name, len(self.rows))

    def __iter__(self) -> Iterator[Image.Image]:
        self.skipped.clear()
        for i in range(len(self.rows)):
            try:
                image = self.rows[i][self.column]
            except (OSError, SyntaxError, ValueError):
                self.skipped.append(f"row {i}")
                continue
            if not isinstance(image, Image.Image):
                raise InputError(
                    f"column {self.column} holds {type(image).__name__}, not images", self.name
                )
            yield image.convert("RGB")


class World(Images):
    """Freshly rendered scenes, as biased as the bundled model's training pictures."""

    def __init__(self, seed: int, limit: int | None) -> None:
        super().__init__("scenes", limit or WORLD_SIZE)
        self.seed = seed

    def __iter__(self) -> Iterator[Image.Image]:
        from sithctl.scenes.world import BIAS, BLOCK, draw

        scenes = draw(self.count, self.seed, BIAS)
        for start in range(0, self.count, BLOCK):
            for picture in scenes.pictures(start, start + BLOCK):
                yield Image.fromarray(picture.permute(1, 2, 0).numpy())


def open_images(
    source: str,
    *,
    split: str | None = None,
    column: str = "image",
    limit: int | None = None,
    seed: int = 0,
) -> Images:
    """Images of a source: ``scenes``, a folder, or a data set on disk.

    Raises:
        InputError: there is no such source, or no image in it.
    """
    if source == "scenes":
        return World(seed, limit)
    folder = Path(source)
    if not folder.is_dir():
        raise InputError(
            "no such folder", source, "give a folder of images, a data set on disk, or `scenes`"
        )
    if _is_dataset(folder):
        return Dataset(folder, split, column, limit)
    return Folder(folder, limit)


def _is_dataset(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("dataset_dict.json", "state.json"))


def _load(folder: Path, split: str | None) -> Any:
    import datasets

    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # datasets raises what Arrow, JSON and the file system raise
        raise InputError("not a whole data set", folder, "write it with save_to_disk") from error
    if not isinstance(loaded, datasets.DatasetDict):
        return loaded
    if split is None and len(loaded) == 1:
        return next(iter(loaded.values()))
    if split not in loaded:
        raise InputError(
            f"the data set has no split {split}" if split else "the data set has several splits",
            folder,
            f"name one with --split: {', '.join(loaded)}",
        )
    return loaded[split]
