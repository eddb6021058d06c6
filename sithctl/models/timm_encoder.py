"""Features from timm's models: what stands before the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.models.encoders import Batch, Encoder
from sithctl.models.location import Location

if TYPE_CHECKING:
    from PIL.Image import Image


class TimmEncoder(Encoder):
    """A model of timm's, pooled and normed as the model itself does it, without its classifier."""

    has_text = False

    def __init__(self, location: Location, device: str, dtype: str, batch_size: int) -> None:
        super().__init__(location, device, dtype, batch_size)
        import timm
        from timm.data.config import resolve_model_data_config
        from timm.data.transforms_factory import create_transform

        name = (location.loader or ("",))[0]
        model: Any = timm.create_model(name, pretrained=True, num_classes=0)
        self.model = model.to(self.device, self.dtype).eval()
        settings = resolve_model_data_config(self.model)
        self.transform: Any = create_transform(**settings, is_training=False)

    def _tokenise(self, texts: Sequence[str]) -> tuple[Batch, list[int]]:
        raise InputError("the model has no text tower", self.location.name)

    def _text_features(self, tokens: Batch) -> Tensor:
        raise InputError("the model has no text tower", self.location.name)

    def _image_features(self, batch: Batch) -> Tensor:
        features: Tensor = self.model(batch["pixel_values"])
        return features

    def _preprocess(self, images: Sequence[Image]) -> Batch:
        pixels = [self.transform(image.convert("RGB")) for image in images]
        return {"pixel_values": torch.stack(pixels)}
