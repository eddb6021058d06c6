"""The models' own forward passes, texts and images to features: the only code that runs one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.models.device import check_device
from sithctl.models.locate import Location, locate

if TYPE_CHECKING:
    from PIL.Image import Image

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
PROBE = ["a", "a photo of two small things on the left"]


class Encoder(ABC):
    """A model that turns texts and images into un-normalised features.

    Attributes:
        location: where the model lies.
        source: what the model was called.
        arithmetic: the forward pass's dtype, by name.
        batch_size: how many go through the model at a time.
        trims: whether a batch of texts may be cut to its longest: exact where attention is
            causal, and taken only where a probe shows it to be.
        truncated: how many texts so far were longer than the context.
    """

    has_text = True

    def __init__(self, location: Location, device: str, dtype: str, batch_size: int) -> None:
        self.location = location
        self.source = ""
        self.device = check_device(device)
        self.dtype = DTYPES[dtype]
        self.arithmetic = dtype
        self.batch_size = batch_size
        self.trims = False
        self.truncated = 0

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Features of texts, in their order: (n, features) float32."""
        if not self.has_text:
            raise InputError(
                "the model has no text tower", self.location.name, "use captioned images as pool"
            )
        tokens, lengths = self._tokenise(texts)
        order = sorted(range(len(texts)), key=lambda i: lengths[i])
        parts: list[Tensor] = []
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            longest = max(lengths[i] for i in rows) if self.trims else tokens.shape[1]
            parts.append(self._text_features(tokens[rows, :longest].to(self.device)))
        features = torch.cat(parts).float().cpu()
        result = torch.empty_like(features)
        result[torch.tensor(order)] = features
        return result

    def encode_images(self, images: Sequence[Image]) -> Tensor:
        """Features of pictures, in their order: (n, features) float32."""
        parts: list[Tensor] = []
        for start in range(0, len(images), self.batch_size):
            pixels = self._preprocess(images[start : start + self.batch_size])
            parts.append(self.encode_pixels(pixels))
        return torch.cat(parts)

    @torch.inference_mode()
    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """Features of pictures that are preprocessed already: (n, 3, H, W) → (n, features)."""
        pixels = pixels.to(self.device, self.dtype)
        parts = [self._image_features(p) for p in pixels.split(self.batch_size)]
        return torch.cat(parts).float().cpu()

    def _probe_trimming(self) -> None:
        """Trim only if it changes nothing: padding-dependent towers must keep their padding."""
        whole = self.encode_text(PROBE)
        self.trims = True
        try:
            same = torch.allclose(self.encode_text(PROBE), whole, atol=1e-4, rtol=1e-4)
        except RuntimeError:
            same = False
        self.trims = same

    @abstractmethod
    def _tokenise(self, texts: Sequence[str]) -> tuple[Tensor, list[int]]:
        """Token ids padded to the full context, and each text's own length."""

    @abstractmethod
    def _text_features(self, tokens: Tensor) -> Tensor: ...

    @abstractmethod
    def _image_features(self, pixels: Tensor) -> Tensor: ...

    @abstractmethod
    def _preprocess(self, images: Sequence[Image]) -> Tensor: ...


class TransformersEncoder(Encoder):
    """CLIP and vision models of transformers."""

    def __init__(self, location: Location, device: str, dtype: str, batch_size: int) -> None:
        super().__init__(location, device, dtype, batch_size)
        loader = location.loader or ()
        from transformers import (
            AutoImageProcessor,
            AutoModel,
            AutoTokenizer,
            CLIPVisionModelWithProjection,
        )
        from transformers.utils import logging

        logging.disable_progress_bar()  # progress is the commands' to show
        folder = loader[0]
        kind = AutoModel
        if location.config.get("model_type") == "clip_vision_model":
            kind = CLIPVisionModelWithProjection  # AutoModel would leave the projection out
        model, report = kind.from_pretrained(
            folder, dtype=self.dtype, trust_remote_code=False, output_loading_info=True
        )
        _check_complete(report["missing_keys"], location)
        self.model = model.to(self.device).eval()
        self.has_text = hasattr(self.model, "get_text_features")
        self.processor: Any = _optional(AutoImageProcessor.from_pretrained, folder)
        self.tokenizer: Any = None
        if self.has_text:
            self.tokenizer = _optional(AutoTokenizer.from_pretrained, folder)
            self.context = self.model.config.text_config.max_position_embeddings
            if self.tokenizer is not None:
                self._probe_trimming()

    def _tokenise(self, texts: Sequence[str]) -> tuple[Tensor, list[int]]:
        if self.tokenizer is None:
            raise InputError(
                "no tokenizer", self.location.name, "save it there with save_pretrained"
            )
        full = self.tokenizer(list(texts), add_special_tokens=True)["input_ids"]
        self.truncated += sum(len(ids) > self.context for ids in full)
        batch = self.tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self.context,
            return_tensors="pt",
        )
        return batch["input_ids"], [min(len(ids), self.context) for ids in full]

    @torch.inference_mode()
    def _text_features(self, tokens: Tensor) -> Tensor:
        return _pooled(self.model.get_text_features(input_ids=tokens))

    def _image_features(self, pixels: Tensor) -> Tensor:
        if hasattr(self.model, "get_image_features"):
            return _pooled(self.model.get_image_features(pixel_values=pixels))
        return _pooled(self.model(pixel_values=pixels))

    def _preprocess(self, images: Sequence[Image]) -> Tensor:
        if self.processor is None:
            raise InputError(
                "no image processor", self.location.name, "save it there with save_pretrained"
            )
        rgb = [image.convert("RGB") for image in images]
        return self.processor(images=rgb, return_tensors="pt")["pixel_values"]


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
        self.tokenizer = open_clip.get_tokenizer(name)
        if _vocabulary(self.model) >= _token_count(self.tokenizer):
            self._probe_trimming()

    def _tokenise(self, texts: Sequence[str]) -> tuple[Tensor, list[int]]:
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
        return tokens, lengths

    def _is_cut(self, text: str, length: int) -> bool:
        full = getattr(self.tokenizer, "encode", None)
        context = self.tokenizer.context_length
        return full is not None and length == context and len(full(text)) + 2 > context

    @torch.inference_mode()
    def _text_features(self, tokens: Tensor) -> Tensor:
        with _shortened(self.model, tokens.shape[1]):
            return self.model.encode_text(tokens)

    def _image_features(self, pixels: Tensor) -> Tensor:
        return self.model.encode_image(pixels)

    def _preprocess(self, images: Sequence[Image]) -> Tensor:
        return torch.stack([self.transform(image.convert("RGB")) for image in images])


def _check_complete(missing: Collection[str], location: Location) -> None:
    """The library starts what a checkpoint lacks at random, with no more than a warning."""
    if missing:
        raise InputError(
            f"the checkpoint lacks {len(missing)} of the model's weights: {min(missing)}",
            location.weights,
            "use a whole checkpoint",
        )


def _optional(load: Any, folder: str) -> Any:
    try:
        return load(folder, trust_remote_code=False)
    except (OSError, ValueError):
        return None


def _pooled(output: Any) -> Tensor:
    if isinstance(output, Tensor):
        return output
    projected = getattr(output, "image_embeds", None)
    return output.pooler_output if projected is None else projected


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


def load_encoder(
    model: str, device: str = "cpu", *, dtype: str = "float32", batch_size: int = 256
) -> Encoder:
    """Load a model with its own library.

    Args:
        model: as everywhere: ``scenes``, a directory, ``open_clip:…``, a hub id.
        device: ``cpu``, ``cuda``, ….
        dtype: of the forward pass.
        batch_size: texts or pictures at a time.

    Raises:
        InputError: the library cannot load it.
    """
    location = locate(model)
    if location.loader is None:
        raise InputError(
            f"{location.library} would load other weights than these",
            location.weights,
            "put them in a model directory of their own",
        )
    kinds = {"transformers": TransformersEncoder, "open_clip": OpenCLIPEncoder}
    try:
        encoder = kinds[location.library](location, device, dtype, batch_size)
    except InputError:
        raise
    except Exception as error:  # two libraries' many ways to fail
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{location.library} cannot load it ({first})", model) from error
    encoder.source = model
    return encoder
