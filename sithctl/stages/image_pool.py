"""Encode captioned images into a pool: their features by the analysed model itself (UniSITH)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image

from sithctl.kinds import Array, Blobs, CaptionedImage, Factors, Identity, Pool, entry
from sithctl.kinds.base import canonical
from sithctl.models import Encoder
from sithctl.models.encoders import Batch
from sithctl.models.opening import feature_space
from sithctl.stages.batches import batches, nothing, skipped

THUMBNAIL = 96  # pixels of the longer side at most
QUALITY = 75


@dataclass
class _Columns:
    """What a pool keeps of its images, growing by a batch at a time."""

    ids: list[str] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    details: list[str | None] = field(default_factory=list)
    factors: list[Factors | None] = field(default_factory=list)
    thumbnails: Blobs = field(default_factory=Blobs)
    features: list[Array] = field(default_factory=list)


def encode_image_pool(
    images: Iterable[CaptionedImage],
    encoder: Encoder,
    *,
    thumbnails: bool = True,
    dtype: str = "float32",
    progress: Callable[[int, int], None] | None = None,
) -> Pool:
    """Encode captioned images; of a batch only what the model takes is in memory at a time.

    Args:
        images: pictures with captions; what the source could not read is named in the history.
        encoder: of the model to be explained.
        thumbnails: keep a small JPEG of each.
        dtype: of the stored embeddings.
        progress: called with (images done, images in all or 0) after every batch.

    Returns:
        A pool of modality ``image`` with embeddings (M, features), un-normalised.

    Raises:
        InputError: no image could be read.
    """
    name = encoder.location.name
    space = feature_space(encoder.location)
    columns, content = _Columns(), hashlib.sha256()

    def prepared() -> Iterator[Batch]:
        """Each picture is let go before the next: a batch of them could fill the memory."""
        for item in images:
            content.update(_signature(item))
            _keep(columns, item, thumbnails)
            yield encoder.prepare(item.image)

    for batch in batches(prepared(), encoder.batch_size):
        columns.features.append(encoder.encode_prepared(batch).numpy().astype(dtype))
        if progress:
            progress(len(columns.ids), getattr(images, "count", 0))
    if not columns.ids:
        raise nothing(images)
    parameters = {"model": name, "dtype": dtype, "arithmetic": encoder.arithmetic}
    made = entry(
        "encode-pool",
        {**parameters, "thumbnails": thumbnails, **skipped(images)},
        {"images": content.hexdigest()[:32]},
    )
    return _pool(columns, Identity(name, space), made, thumbnails)


def _pool(columns: _Columns, identity: Identity, made: dict[str, object], thumbnails: bool) -> Pool:
    factors = [f for f in columns.factors if f is not None]
    details = [d or "" for d in columns.details]
    return Pool(
        identity,
        (made,),
        np.concatenate(columns.features),
        columns.captions,
        factors if len(factors) == len(columns.ids) else None,
        "image",
        columns.ids,
        details if any(details) else None,
        columns.thumbnails if thumbnails else None,
    )


def _keep(columns: _Columns, item: CaptionedImage, thumbnails: bool) -> None:
    columns.ids.append(item.id)
    columns.captions.append(item.caption)
    columns.details.append(item.detail)
    columns.factors.append(item.factors)
    if thumbnails:
        columns.thumbnails.append(thumbnail(item.image))


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
