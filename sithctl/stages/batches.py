"""Pictures of a source in batches, and what a source left out.

A batch is so many places of the source, whether their pictures can be read or not: so anybody can
begin with any batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from PIL import Image

from sithctl.errors import InputError
from sithctl.kinds import Array, Arrival, CaptionedImage
from sithctl.kinds.base import numbers, texts
from sithctl.kinds.shard import Block, Columns
from sithctl.stages.blocks import Wanted, counts, rows_of

T = TypeVar("T")
Picture = CaptionedImage | Image.Image

NAMED = 20  # ids of skipped images that history names
WIDTH = 32  # bytes of a digest


@dataclass
class Batch(Generic[T]):
    """What is left of a batch of pictures once they are let go.

    Attributes:
        number: its place, from 0.
        wanted: whether its pictures were asked for.
        taken: of those that could be read.
        skipped: ids of the others, and why.
        said: what the source says of all of them.
    """

    number: int
    wanted: bool
    taken: list[T] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    said: Any = field(default_factory=hashlib.sha256)

    def block(self, columns: Columns | None) -> Block:
        """As a block: its own columns, how many pictures were read, and which were skipped."""
        if columns is not None:
            names, reasons = [n for n, _ in self.skipped], [r for _, r in self.skipped]
            read = np.array([len(self.taken)], dtype=np.int64)
            columns = {**columns, "read": read, "skipped": names, "reasons": reasons}
        return Block(self.number, self.said.hexdigest()[:WIDTH], columns)


def picture_batches(
    images: Iterable[Picture], size: int, wanted: Wanted, take: Callable[[int, Picture], T]
) -> Iterator[Batch[T]]:
    """Pictures in batches of ``size`` places.

    Args:
        images: a source, which reads only what is wanted, in threads and ahead, or any pictures.
        size: places a batch; the last may have fewer.
        wanted: which batches.
        take: called with a place and its picture, in a source's threads; the picture is let go: a
            batch of them could fill the memory.
    """
    batch: Batch[T] | None = None
    for place, arrival in enumerate(_arrivals(images, lambda at: wanted(at // size), take, size)):
        number = place // size
        if batch is None or batch.number != number:
            if batch is not None:
                yield batch
            batch = Batch(number, wanted(number))
        batch.said.update(arrival.said.encode() + b"\n")
        if arrival.item is not None and batch.wanted:
            batch.taken.append(arrival.item)
        elif arrival.reason:
            batch.skipped.append((arrival.id, arrival.reason))
    if batch is not None:
        yield batch


def picture_blocks(
    images: Iterable[Picture],
    size: int,
    wanted: Wanted,
    take: Callable[[Picture], tuple[T, bytes]],
    columns: Callable[[list[T]], Columns],
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Block]:
    """A batch a block: its columns, what was skipped, and a digest of the pictures.

    Args:
        images, size, wanted: as ``picture_batches`` has them.
        take: what is kept of a picture, and what of it goes into the digest.
        columns: of all that was kept of a batch.
        progress: called with (images done, images in all or 0) as a batch begins and ends.
    """
    total = getattr(images, "count", 0)

    def taken(place: int, picture: Picture) -> tuple[T, int]:
        kept, signature = take(picture)
        return kept, placed(place, signature)

    if progress:
        progress(0, total)
    for batch in picture_batches(images, size, wanted, taken):
        found = columns([kept for kept, _ in batch.taken]) if batch.wanted else None
        content = added(digest for _, digest in batch.taken)
        yield batch.block(found and {**found, "content": content})
        if progress and batch.wanted:
            done = (batch.number + 1) * size
            progress(min(done, total) if total else done, total)


def _arrivals(
    images: Iterable[Picture], wanted: Wanted, take: Callable[[int, Picture], T], ahead: int
) -> Iterator[Arrival]:
    of_source = getattr(images, "arrivals", None)
    if of_source is not None:
        yield from of_source(wanted, take, ahead)
        return
    for place, item in enumerate(images):
        yield Arrival("", take(place, item) if wanted(place) else None)


def placed(place: int, content: bytes) -> int:
    """The digest of one picture at its place in the source."""
    return int.from_bytes(hashlib.sha256(f"{place}|".encode() + content).digest())


def added(digests: Iterable[int]) -> Array:
    """The digest of many pictures, added up in any order: (32,) uint8, as blocks keep it."""
    return np.frombuffer((sum(digests) % (1 << 8 * WIDTH)).to_bytes(WIDTH), np.uint8)


def content_sum(columns: Iterable[Array]) -> Array:
    """The digest of all pictures of some parts, (32,) uint8."""
    return added(int.from_bytes(column.tobytes()) for column in columns)


def content_of(blocks: Sequence[Columns]) -> Array:
    return content_sum(numbers(columns["content"]) for columns in blocks)


def shown_digest(content: Array) -> str:
    """As history has it: 32 hexadecimal digits."""
    return content.tobytes().hex()[:WIDTH]


def skipped_of(blocks: Sequence[Columns]) -> list[tuple[str, str]]:
    """What was skipped in blocks, and why, in order."""
    pairs = [(texts(columns["skipped"]), texts(columns["reasons"])) for columns in blocks]
    return [pair for names, reasons in pairs for pair in zip(names, reasons, strict=True)]


def picture_seams(blocks: Sequence[Columns]) -> Columns:
    """What a part brings of its pictures: how many were read and skipped by block, which were
    skipped, why, and the digest of all."""
    left_out = skipped_of(blocks)
    return {
        "rows": rows_of(blocks, "read"),
        "skips": counts(blocks, "skipped"),
        "skipped": [name for name, _ in left_out],
        "reasons": [reason for _, reason in left_out],
        "content": content_of(blocks),
    }


def skipped(ids: Sequence[str]) -> dict[str, Any]:
    """What history says of the images that could not be read: nothing where all were."""
    return {"skipped": {"count": len(ids), "images": list(ids[:NAMED])}} if ids else {}


def nothing(images: object, left_out: Sequence[tuple[str, str]]) -> InputError:
    """What to raise where no image could be read: how many there were, and what ailed the first."""
    what = "no image could be read"
    if left_out:
        first, reason = left_out[0]
        what += f" of {len(left_out)}, the first, {first}, because: {reason}"
    return InputError(what, getattr(images, "name", None), "give images")
