"""The mean μ of unit-norm image features (method: read-out)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F
from PIL import Image

from sithctl.errors import InputError
from sithctl.kinds import Array, CaptionedImage, Identity, Mean, Pool, entry
from sithctl.kinds.base import digest_of
from sithctl.kinds.shard import Block, Columns
from sithctl.models import Encoder, load_encoder
from sithctl.models.encoders import Batch
from sithctl.models.locate import Named, locate
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
from sithctl.stages.blocks import Wanted, done_at_once, made, rows_of
from sithctl.stages.centring import unit_sum


def mean(
    images: Iterable[Image.Image] | Iterable[CaptionedImage] | Pool | str | os.PathLike[str],
    model: Named | Encoder = "scenes",
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Mean:
    """The mean of a model's unit-norm features of images, which is taken off before vectors are
    explained by texts: the two lie apart (SITH, Sec. 3).

    Args:
        images: pictures, with or without captions; a source of them as the command line names it,
            such as a folder or ``scenes:images``; or an image pool of the same model.
        model: a name or a path, or an encoder that is loaded already.
        progress: called with (images done, 0) after every batch.

    Returns:
        The sum (features,) float64 and the count; their quotient is the mean.

    Raises:
        InputError: no image could be read, no such source, or the pool is of texts.

    >>> found = mean([Image.new("RGB", (48, 48), name) for name in ("red", "blue")])
    >>> found.count, found.mean.shape
    (2, (48,))
    """
    if isinstance(images, Pool):
        if images.modality != "image":
            raise InputError(
                "the mean of a text pool is not the mean of image features",
                images.model.name,
                "give images, or an image pool",
            )
        return mean_of_pool(images)
    if isinstance(images, str | os.PathLike):
        from sithctl.sources.open import open_images

        images = open_images(os.fspath(images))
    encoder = load_encoder(model)
    return done_at_once(ImageMean(images, encoder, progress))


@dataclass(frozen=True)
class ImageMean:
    """Images whose features' mean is to be taken.

    Attributes:
        images: pictures, with or without captions.
        encoder: of the model.
        progress: called with (images done, images in all or 0) after every batch.
    """

    images: Iterable[Image.Image] | Iterable[CaptionedImage]
    encoder: Encoder
    progress: Callable[[int, int], None] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        return {"model": self.encoder.location.name, "arithmetic": self.encoder.arithmetic}

    @property
    def recipe(self) -> dict[str, Any]:
        size = self.encoder.batch_size
        return {**self.parameters, "batch size": size, "device": self.encoder.device.type}

    def blocks(self, wanted: Wanted) -> Iterator[Block]:
        """A batch a block: its sum and count, what was skipped, and a digest of the pictures."""
        return picture_blocks(
            self.images, self.encoder.batch_size, wanted, self._take, self._columns, self.progress
        )

    def _take(self, item: Picture) -> tuple[Batch, bytes]:
        image = item.image if isinstance(item, CaptionedImage) else item
        return self.encoder.prepare(image), f"{image.size}".encode() + image.tobytes()

    def _columns(self, pictures: list[Batch]) -> Columns:
        if not pictures:
            return {"sums": np.zeros((0, 0))}
        features = F.normalize(self.encoder.encode_prepared(pictures).double(), dim=-1)
        return {"sums": features.sum(0, keepdim=True).numpy()}

    def whole(self, blocks: Sequence[Block], *, part: bool = False) -> Mean:
        """The sum (features,) float64 and the count.

        Raises:
            InputError: no image could be read.
        """
        done, left_out = made(blocks), skipped_of(made(blocks))
        sums = rows_of(done, "sums")
        if not (len(sums) or part):
            raise nothing(self.images, left_out)
        location = self.encoder.location
        parameters = self.parameters | skipped([name for name, _ in left_out])
        return Mean(
            Identity(location.name, feature_space(location)),
            (entry("mean", parameters, {"images": shown_digest(content_of(done))}),),
            added_up(sums),
            int(rows_of(done, "read").sum()),
        )

    def seams(self, blocks: Sequence[Block]) -> Columns:
        """Every batch's sum, what was skipped, and the digest of the pictures."""
        done = made(blocks)
        return {"sums": rows_of(done, "sums"), **picture_seams(done)}


def added_up(sums: Array) -> Array:
    """The sum of batches' sums (n, features), one after another: of floats, the order counts."""
    total = np.zeros(sums.shape[1])
    for row in sums:
        total += row
    return total


def mean_of_pool(pool: Pool) -> Mean:
    """The mean of a pool's own unit-norm rows: of images, or of texts for a text tower.

    Raises:
        InputError: a NaN among them.
    """
    total = unit_sum(pool.embeddings, f"pool of {pool.model.name}")
    history = (*pool.history, entry("mean", {}, {"pool": pool.digest}))
    return Mean(pool.model, history, total.numpy(), len(pool.concepts))


def ready_mean(vector: Array, *, model: Named | None = None) -> Mean:
    """A mean computed elsewhere: (features,), of unit-norm image features."""
    identity = Identity()
    if model is not None:
        location = locate(model)
        identity = Identity(location.name, feature_space(location))
    total = np.asarray(vector, dtype=np.float64)
    content = digest_of({}, {"embedding": total})
    history = (entry("mean", {"model": identity.name}, {"embedding": content}),)
    return Mean(identity, history, total, 1)
