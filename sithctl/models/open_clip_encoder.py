"""Features from OpenCLIP's models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.models.encoders import Batch, Encoder
from sithctl.models.location import Location

if TYPE_CHECKING:
    from PIL.Image import Image


class OpenCLIPEncoder(Encoder):
    """OpenCLIP's models."""

    def __init__(self, location: Location, device: str, dtype: str, batch_size: int) -> None:
        super().__init__(location, device, dtype, batch_size)
        import open_clip

        name, *tag = location.loader or ()
        precision = {"float32": "fp32", "float16": "pure_fp16", "bfloat16": "pure_bf16"}[dtype]
        self.model, _, self.transform = open_clip.create_model_and_transforms(
            name, pretrained=tag[0] if tag else None, precision=precision, device=self.device
        )
        self.model.eval()
        self.tokenizer = _tokenizer(name)
        if self.tokenizer and _vocabulary(self.model) >= _token_count(self.tokenizer):
            self._probe_trimming()

    def _tokenise(self, texts: Sequence[str]) -> tuple[Batch, list[int]]:
        if self.tokenizer is None:
            raise InputError("no tokenizer", self.location.name, "put it into the model directory")
        tokens: Tensor = self.tokenizer(list(texts))
        if int(tokens.max()) >= _vocabulary(self.model):
            raise InputError(
                f"the tokenizer's ids do not fit the model's vocabulary of "
                f"{_vocabulary(self.model)}",
                self.location.name,
                "name the tokenizer in open_clip_config.json",
            )
        lengths = [int(row.nonzero().max()) + 1 for row in tokens]
        self.truncated += sum(self._is_cut(t, n) for t, n in zip(texts, lengths, strict=True))
        return {"tokens": tokens}, lengths

    def _is_cut(self, text: str, length: int) -> bool:
        full = getattr(self.tokenizer, "encode", None)
        context = self.tokenizer.context_length
        return full is not None and length == context and len(full(text)) + 2 > context

    @torch.inference_mode()
    def _text_features(self, tokens: Batch) -> Tensor:
        ids = tokens["tokens"]
        with _shortened(self.model, ids.shape[1]):
            return self.model.encode_text(ids, normalize=False)  # CoCa normalises unless told

    def _image_features(self, batch: Batch) -> Tensor:
        return self.model.encode_image(batch["pixel_values"], normalize=False)

    def _preprocess(self, images: Sequence[Image]) -> Batch:
        pixels = [self.transform(image.convert("RGB")) for image in images]
        return {"pixel_values": torch.stack(pixels)}


def _tokenizer(name: str) -> Any:
    """The model's tokenizer; None where it cannot be had: images do not need it."""
    import open_clip

    try:
        return open_clip.get_tokenizer(name)
    except (OSError, ValueError):
        return None


def _vocabulary(model: Any) -> int:
    text = getattr(model, "text", model)
    embedding = getattr(text, "token_embedding", None)
    return embedding.num_embeddings if embedding is not None else 1 << 31


def _token_count(tokenizer: Any) -> int:
    return getattr(tokenizer, "vocab_size", 0)


@contextmanager
def _shortened(model: Any, length: int) -> Iterator[None]:
    """OpenCLIP's plain CLIP adds its whole positional embedding: cut it, and the mask, to size."""
    positions = getattr(model, "positional_embedding", None)
    mask = getattr(model, "attn_mask", None)
    if positions is None or mask is None or positions.shape[0] == length:
        yield
        return
    whole = positions.data
    positions.data, model.attn_mask = whole[:length], mask[:length, :length]
    try:
        yield
    finally:
        positions.data, model.attn_mask = whole, mask
