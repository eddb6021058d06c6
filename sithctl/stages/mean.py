"""The mean μ of unit-norm image features (method: read-out)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from sithctl.errors import InputError
from sithctl.kinds import Array, CaptionedImage, Identity, Mean, Pool, entry
from sithctl.kinds.base import digest_of
from sithctl.models import Encoder, load_encoder
from sithctl.models.encoders import Batch
from sithctl.models.locate import locate
from sithctl.models.opening import feature_space
from sithctl.stages.batches import batches, nothing, skipped


def mean(
    images: Iterable[Image.Image] | Iterable[CaptionedImage] | Pool,
    model: str | Encoder = "scenes",
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Mean:
    """The mean of a model's unit-norm features of images.

    Args:
        images: pictures, with or without captions, or an image pool of the same model.
        model: a name, or an encoder that is loaded already.
        progress: called with (images done, 0) after every batch.

    Returns:
        The sum (features,) float64 and the count; their quotient is the mean.

    Raises:
        InputError: no image could be read, or the pool is of texts.
    """
    if isinstance(images, Pool):
        if images.modality != "image":
            raise InputError(
                "the mean of a text pool is not the mean of image features",
                images.model.name,
                "give images, or an image pool",
            )
        return mean_of_pool(images)
    encoder = load_encoder(model) if isinstance(model, str) else model
    name = encoder.location.name
    identity = Identity(name, feature_space(encoder.location))
    total: torch.Tensor | None = None
    count, content = 0, hashlib.sha256()

    def prepared() -> Iterator[Batch]:
        """Each picture is let go before the next: a batch of them could fill the memory."""
        for image in _pictures(images):
            content.update(f"{image.size}".encode())
            content.update(image.tobytes())
            yield encoder.prepare(image)

    for batch in batches(prepared(), encoder.batch_size):
        features = F.normalize(encoder.encode_prepared(batch).double(), dim=-1).sum(0)
        total = features if total is None else total + features
        count += len(batch)
        if progress:
            progress(count, 0)
    if total is None:
        raise nothing(images)
    parameters = {"model": name, "arithmetic": encoder.arithmetic}
    parameters |= skipped(images)
    history = (entry("mean", parameters, {"images": content.hexdigest()[:32]}),)
    return Mean(identity, history, total.numpy(), count)


def mean_of_pool(pool: Pool) -> Mean:
    """The mean of a pool's own unit-norm rows: of images, or of texts for a text tower.

    Raises:
        InputError: a NaN among them.
    """
    check_finite(pool, pool.model.name)
    rows = F.normalize(torch.from_numpy(pool.embeddings).double(), dim=-1)
    history = (*pool.history, entry("mean", {}, {"pool": pool.digest}))
    return Mean(pool.model, history, rows.sum(0).numpy(), len(rows))


def check_finite(pool: Pool, where: object) -> None:
    """Refuse a pool with a NaN."""
    if not np.isfinite(pool.embeddings).all():
        raise InputError("NaN or infinite embeddings in the pool", where, "encode it again")


def ready_mean(vector: Array, *, model: str | None = None) -> Mean:
    """A mean computed elsewhere: (features,), of unit-norm image features."""
    identity = Identity()
    if model is not None:
        location = locate(model)
        identity = Identity(location.name, feature_space(location))
    total = np.asarray(vector, dtype=np.float64)
    content = digest_of({}, {"embedding": total})
    history = (entry("mean", {"model": identity.name}, {"embedding": content}),)
    return Mean(identity, history, total, 1)


def _pictures(
    images: Iterable[Image.Image] | Iterable[CaptionedImage],
) -> Iterator[Image.Image]:
    for item in images:
        yield item.image if isinstance(item, CaptionedImage) else item
