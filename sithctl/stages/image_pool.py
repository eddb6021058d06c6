"""Encode captioned images into a pool: their features by the analysed model itself (UniSITH)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from sithctl.kinds import Blobs, CaptionedImage, Identity, Pool, entry
from sithctl.kinds.base import blobs, canonical
from sithctl.kinds.shard import Block, Columns
from sithctl.models import Encoder
from sithctl.models.encoders import Batch
from sithctl.models.opening import feature_space
from sithctl.stages.batches import (
    Picture,
    content_of,
    nothing,
    picture_blocks,
    picture_seams,
    shown_digest,
    skipped,
    skipped_of,
)
from sithctl.stages.blocks import Wanted, done_at_once, made, rows_of, texts_of

THUMBNAIL = 96  # pixels of the longer side at most
QUALITY = 75


class _Taken(NamedTuple):
    """What is left of a picture: what the pool keeps of it, and what the model takes."""

    id: str
    caption: str
    detail: str
    factors: str
    thumbnail: bytes
    prepared: Batch


@dataclass(frozen=True)
class ImagePool:
    """Captioned images to encode; of a batch only what the model takes is in memory at a time.

    Attributes:
        images: pictures with captions; what the source could not read is named in the history.
        encoder: of the model to be explained.
        thumbnails: keep a small JPEG of each.
        dtype: of the stored embeddings.
        progress: called with (images done, images in all or 0) after every batch.
    """

    images: Iterable[CaptionedImage]
    encoder: Encoder
    thumbnails: bool = True
    dtype: str = "float32"
    progress: Callable[[int, int], None] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        name, arithmetic = self.encoder.location.name, self.encoder.arithmetic
        told = {"model": name, "dtype": self.dtype, "arithmetic": arithmetic}
        return {**told, "thumbnails": self.thumbnails}

    @property
    def recipe(self) -> dict[str, Any]:
        size = self.encoder.batch_size
        return {**self.parameters, "batch size": size, "device": self.encoder.device.type}

    def blocks(self, wanted: Wanted) -> Iterator[Block]:
        """A batch a block: a row an image, what was skipped, and a digest of the pictures."""
        return picture_blocks(
            self.images, self.encoder.batch_size, wanted, self._take, self._columns, self.progress
        )

    def _take(self, item: Picture) -> tuple[_Taken, bytes]:
        assert isinstance(item, CaptionedImage)
        factors = "" if item.factors is None else canonical(item.factors)
        small = thumbnail(item.image) if self.thumbnails else b""
        said = (item.id, item.caption, item.detail or "", factors)
        return _Taken(*said, small, self.encoder.prepare(item.image)), _signature(item)

    def _columns(self, taken: list[_Taken]) -> Columns:
        rows = np.zeros((0, 0), dtype=self.dtype)
        if taken:
            features = self.encoder.encode_prepared([one.prepared for one in taken])
            rows = features.numpy().astype(self.dtype)
        return {
            "embeddings": rows,
            "sources": [one.id for one in taken],
            "concepts": [one.caption for one in taken],
            "details": [one.detail for one in taken],
            "factors": [one.factors for one in taken],
            "thumbnails": Blobs(one.thumbnail for one in taken),
        }

    def whole(self, blocks: Sequence[Block], *, part: bool = False) -> Pool:
        """A pool of modality ``image`` with embeddings (M, features), un-normalised.

        Raises:
            InputError: no image could be read.
        """
        done, left_out = made(blocks), skipped_of(made(blocks))
        ids, details = texts_of(done, "sources"), texts_of(done, "details")
        if not (ids or part):
            raise nothing(self.images, left_out)
        factors = [json.loads(text) for text in texts_of(done, "factors") if text]
        location = self.encoder.location
        parameters = self.parameters | skipped([name for name, _ in left_out])
        return Pool(
            Identity(location.name, feature_space(location)),
            (entry("encode-pool", parameters, {"images": shown_digest(content_of(done))}),),
            rows_of(done, "embeddings"),
            texts_of(done, "concepts"),
            factors if len(factors) == len(ids) else None,
            "image",
            ids,
            details if any(details) or part else None,
            Blobs(b for c in done for b in blobs(c["thumbnails"])) if self.thumbnails else None,
        )

    def seams(self, blocks: Sequence[Block]) -> Columns:
        """Rows by block, what was skipped, and the digest of the pictures."""
        return picture_seams(made(blocks))


def encode_image_pool(
    images: Iterable[CaptionedImage],
    encoder: Encoder,
    *,
    thumbnails: bool = True,
    dtype: str = "float32",
    progress: Callable[[int, int], None] | None = None,
) -> Pool:
    """Encode captioned images: see ``ImagePool``."""
    return done_at_once(ImagePool(images, encoder, thumbnails, dtype, progress))


def _signature(item: CaptionedImage) -> bytes:
    said = [item.id, item.caption, item.detail, item.factors, item.image.size]
    return canonical(said).encode() + hashlib.sha256(item.image.tobytes()).digest()


def thumbnail(image: Image.Image) -> bytes:
    """A JPEG of the image, at most ``THUMBNAIL`` pixels on the longer side, never enlarged."""
    small = image.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
