"""The models' own forward passes, texts and images to features: the only code that runs one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sithctl.checkpoints.files import usual_name
from sithctl.errors import InputError
from sithctl.models.device import Memory, check_device
from sithctl.models.locate import Named, locate, spelt
from sithctl.models.location import OPEN_CLIP_CONFIG, Location

if TYPE_CHECKING:
    from PIL.Image import Image

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
PROBE = ["a", "a photo of two small things on the left"]

Batch = Mapping[str, Tensor]  # what a library's forward pass takes, by name


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
        memory: how many of a batch the device takes at a time.
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
        self.memory = Memory()

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Features of texts, in their order: (n, features) float32."""
        if not self.has_text:
            raise InputError(
                "the model has no text tower", self.location.name, "use captioned images as pool"
            )
        tokens, lengths = self._tokenise(texts)
        order = sorted(range(len(texts)), key=lambda i: lengths[i])

        def forward(start: int, size: int) -> Tensor:
            rows = order[start : start + size]
            longest = max(lengths[i] for i in rows) if self.trims else None
            batch = {name: t[rows, :longest].to(self.device) for name, t in tokens.items()}
            return self._text_features(batch)

        features = self._in_batches(forward, len(order)).float().cpu()
        result = torch.empty_like(features)
        result[torch.tensor(order)] = features
        return result

    def encode_images(self, images: Sequence[Image]) -> Tensor:
        """Features of pictures, in their order: (n, features) float32."""
        return self.encode_prepared([self.prepare(image) for image in images])

    def prepare(self, image: Image) -> Batch:
        """One picture as the model takes it: small, so that the picture itself can be let go."""
        return self._preprocess([image])

    def encode_prepared(self, pictures: Sequence[Batch]) -> Tensor:
        """Features of what ``prepare`` gave, in their order: (n, features) float32."""

        def forward(start: int, size: int) -> Tensor:
            some = pictures[start : start + size]
            batch = {name: torch.cat([picture[name] for picture in some]) for name in some[0]}
            return self._features_of(batch)

        return self._in_batches(forward, len(pictures))

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """Features of pictures that are preprocessed already: (n, 3, H, W) → (n, features)."""

        def forward(start: int, size: int) -> Tensor:
            return self._features_of({"pixel_values": pixels[start : start + size]})

        return self._in_batches(forward, len(pixels))

    def _in_batches(self, forward: Callable[[int, int], Tensor], n: int) -> Tensor:
        """``forward(start, size)`` of n rows, a batch at a time, or what memory there is takes."""
        parts: list[Tensor] = []
        start = 0
        while start < n:
            size = min(self.batch_size, n - start)
            parts.append(self.memory.within(partial(forward, start), size))
            start += len(parts[-1])
        return torch.cat(parts)

    @torch.inference_mode()
    def _features_of(self, batch: Batch) -> Tensor:
        there = {
            name: t.to(self.device, self.dtype if t.is_floating_point() else None)
            for name, t in batch.items()
        }
        features = self._image_features(there).float().cpu()
        if features.ndim != 2:
            shape = tuple(features.shape)
            raise InputError(f"the model does not pool (features {shape})", self.location.name)
        return features

    def _probe_trimming(self) -> None:
        """Trim only if it changes nothing: padding-dependent towers must keep their padding."""
        whole = self.encode_text(PROBE)
        self.trims = True
        try:
            same = torch.allclose(self.encode_text(PROBE), whole, atol=1e-4, rtol=1e-4)
        except RuntimeError:
            same = False
        self.trims = same

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the loaded model by its library's name, for whoever puts others in."""
        model: torch.nn.Module = self.model  # type: ignore[attr-defined]
        return {**dict(model.named_buffers()), **dict(model.named_parameters())}

    @abstractmethod
    def _tokenise(self, texts: Sequence[str]) -> tuple[Batch, list[int]]:
        """Tokens padded to the full context, (n, context) each, and every text's own length."""

    @abstractmethod
    def _text_features(self, tokens: Batch) -> Tensor: ...

    @abstractmethod
    def _image_features(self, batch: Batch) -> Tensor: ...

    @abstractmethod
    def _preprocess(self, images: Sequence[Image]) -> Batch: ...


KINDS = {
    "transformers": ("transformers_encoder", "TransformersEncoder"),
    "open_clip": ("open_clip_encoder", "OpenCLIPEncoder"),
    "timm": ("timm_encoder", "TimmEncoder"),
}


def load_encoder(
    model: Named | Encoder, device: str = "cpu", *, dtype: str = "float32", batch_size: int = 256
) -> Encoder:
    """Load a model with its own library.

    Args:
        model: as everywhere: ``scenes``, a directory, ``open_clip:…``, ``timm:…``, a hub id; of an
            adapter's folder the base is loaded, and the adapter merged into it. One that is loaded
            already is given back as it is.
        device: ``cpu``, ``cuda``, ….
        dtype: of the forward pass.
        batch_size: texts or pictures at a time.

    Raises:
        InputError: the library cannot load it.
    """
    if isinstance(model, Encoder):
        return model
    name = spelt(model)
    location = locate(name)
    if location.loader is None:
        raise _not_loaded(location)
    module, cls = KINDS[location.library]
    kind: type[Encoder] = getattr(import_module(f"sithctl.models.{module}"), cls)
    try:
        encoder = kind(location, device, dtype, batch_size)
    except InputError:
        raise
    except Exception as error:  # three libraries' many ways to fail
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{location.library} cannot load it ({first})", name) from error
    if location.adapter is not None:
        from sithctl.models.live import merge_adapter
        from sithctl.models.opening import open_located

        merge_adapter(encoder, open_located(location))
    encoder.source = name
    return encoder


def _not_loaded(location: Location) -> InputError:
    """Weights that no library would load, and where it would look for them."""
    weights = location.weights
    if location.library != "bare":
        what = f"{location.library} would load other weights than these"
        return InputError(what, weights, "put them in a model directory of their own")
    named = {library: usual_name(weights, library) for library in ("open_clip", "transformers")}
    todo = (
        f"put it beside its {OPEN_CLIP_CONFIG} as {named['open_clip']}, "
        f"or its config.json as {named['transformers']}"
    )
    return InputError("a bare checkpoint has no library to run it", weights, todo)
