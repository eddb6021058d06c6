"""The small JPEGs of the concepts shown, as files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sithctl.artifacts.streams import writable
from sithctl.errors import InputError
from sithctl.stages.explain import Explanation, WeightedConcept

POLE_NAME = {"+": "plus", "-": "minus"}
LONGEST = 60  # characters of an id in a file name
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def write_thumbnails(explanations: Iterable[Explanation], folder: Path, *, force: bool) -> int:
    """Write a file a concept: ``layer05-head02-sv000-right-plus-0-ID.jpg``.

    Args:
        explanations: of codes of an image pool.
        folder: made where it is missing.
        force: overwrite files.

    Returns:
        How many.

    Raises:
        InputError: there are no thumbnails, or a file exists and is not to be overwritten.
    """
    files = {
        folder / _name(e, rank, concept): concept.thumbnail
        for e in explanations
        for rank, concept in enumerate(e.concepts)
        if concept.thumbnail is not None
    }
    if not files:
        raise InputError(
            "no thumbnails in these codes",
            None,
            "encode the pool from images, without --no-thumbnails, and decompose again",
        )
    if folder.exists() and not folder.is_dir():
        raise InputError("the output is no folder", folder, "name a folder for the thumbnails")
    taken = next((path for path in files if path.is_symlink() or path.exists()), None)
    if taken is not None and not force:
        raise InputError("the output exists", taken, "take another folder, or --force to overwrite")
    _write(files, folder)
    return len(files)


def _write(files: dict[Path, bytes], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            if path.is_symlink():
                path.unlink()  # written through, it would leave the folder
            with writable(path) as part:
                part.write_bytes(data)
    except OSError as error:
        raise InputError("cannot write", folder, error.strerror or str(error)) from error


def _name(e: Explanation, rank: int, concept: WeightedConcept) -> str:
    vector = f"layer{e.layer:02}-head{e.head:02}-sv{e.sv:03}-{e.side}-{POLE_NAME[e.pole]}"
    named = safe_name(concept.image or str(concept.index))
    return f"{vector}-{rank}-{named}.jpg"


def safe_name(text: str) -> str:
    """Letters, digits, dots and dashes alone, for a part of a file name.

    >>> safe_name("../a b/ü.png")
    '.._a_b_.png'
    """
    return _UNSAFE.sub("_", text)[-LONGEST:]
