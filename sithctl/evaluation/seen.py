"""Pictures as one or several models see them: read once, features kept and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.errors import InputError
from sithctl.evaluation.results import Tell, untold
from sithctl.kinds import CaptionedImage, Factors
from sithctl.models import Encoder, load_encoder
from sithctl.models.encoders import Batch
from sithctl.models.locate import Named
from sithctl.stages.batches import nothing

if TYPE_CHECKING:
    from sithctl.sources.images import Images


T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Seen:
    """Pictures that were seen.

    Attributes:
        captions: one each; empty where the source was not asked for them.
        known: the attributes of each.
        features: of each model, (n, features) float32 of norm 1.
    """

    captions: list[str]
    known: list[Factors]
    features: list[Tensor]


def see(
    images: Images,
    encoders: Sequence[Encoder],
    *,
    check: Callable[[CaptionedImage], None] | None = None,
    progress: Tell = untold,
) -> Seen:
    """The features of pictures.

    Args:
        images: prepared one by one and let go.
        encoders: of the models, each of which prepares pictures in its own way.
        check: raises where a picture will not do.
        progress: called with (pictures done, pictures in all or 0).

    Raises:
        InputError: no picture could be read.
    """
    captions: list[str] = []
    known: list[Factors] = []
    features: list[list[Tensor]] = [[] for _ in encoders]

    def prepared() -> Iterator[tuple[Batch, ...]]:
        for item in images:
            if check is not None:
                check(item)
            captions.append(item.caption)
            known.append(item.factors or {})
            yield tuple(encoder.prepare(item.image) for encoder in encoders)

    for batch in _batches(prepared(), min(encoder.batch_size for encoder in encoders)):
        for encoder, rows, pictures in zip(
            encoders, features, zip(*batch, strict=True), strict=True
        ):
            rows.append(unit(encoder.encode_prepared(pictures), encoder))
        progress(len(captions), images.count)
    if not captions:
        raise nothing(images, images.left_out)
    return Seen(captions, known, [torch.cat(rows) for rows in features])


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch


def unit(features: Tensor, encoder: Encoder) -> Tensor:
    """Rows of norm 1.

    Raises:
        InputError: a NaN or an infinity among them, which no comparison could be trusted with.
    """
    if not torch.isfinite(features).all():
        what = "the model's features are NaN or infinite"
        raise InputError(what, encoder.location.name, "check its weights, or use --dtype float32")
    return F.normalize(features, dim=-1)


def with_words(*models: Named | Encoder | None) -> list[Encoder]:
    """The models that are given, loaded.

    Raises:
        InputError: one has no text tower.
    """
    encoders = [load_encoder(m) for m in models if m is not None]
    for encoder in encoders:
        if not encoder.has_text:
            raise InputError(
                "the model has no text tower",
                encoder.location.name,
                "pictures are compared with words here: give a CLIP or another model with both",
            )
    return encoders
