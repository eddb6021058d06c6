"""Items in batches, and what a source of images left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from sithctl.errors import InputError

T = TypeVar("T")

NAMED = 20  # ids of skipped images that history names


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` items; the last may be shorter."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def skipped(images: object) -> dict[str, Any]:
    """What history says of the images that ``images`` could not read: nothing where all were."""
    ids = list(getattr(images, "skipped", ()))
    return {"skipped": {"count": len(ids), "images": ids[:NAMED]}} if ids else {}


def nothing(images: object) -> InputError:
    """What to raise where no image could be read: how many there were, and what ailed the first."""
    ids, what = list(getattr(images, "skipped", ())), "no image could be read"
    if ids:
        reason = getattr(images, "reason", "")
        what += f" of {len(ids)}, the first, {ids[0]}, because: {reason}"
    return InputError(what, getattr(images, "name", None), "give images")
