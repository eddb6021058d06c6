"""Features from transformers' models: CLIPs, and vision models without a text tower."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.models.encoders import Batch, Encoder
from sithctl.models.location import Location
from sithctl.models.model import Model
from sithctl.models.opening import open_located
from sithctl.models.transformers_families import BEIT, CLIP_TOWER

if TYPE_CHECKING:
    from PIL.Image import Image


class TransformersEncoder(Encoder):
    """A model of transformers', and of it the feature that its read-out gives."""

    def __init__(self, location: Location, device: str, dtype: str, batch_size: int) -> None:
        super().__init__(location, device, dtype, batch_size)
        from transformers import AutoImageProcessor, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # progress is the commands' to show
        folder = (location.loader or ("",))[0]
        opened = open_located(location)
        self.pooled = opened.family.pooled
        whole = _load(opened, folder, self.dtype).to(self.device).eval()
        self.model = _features_of(whole)
        # BEiT before fine-tuning keeps its final norm beside the backbone.
        beside = whole is not self.model and opened.family.name == BEIT.name
        self.after = getattr(whole, "layernorm", None) if beside else None
        if hasattr(self.model.config, "mask_ratio"):
            self.model.config.mask_ratio = 0.0  # a masked autoencoder drops patches otherwise
        self.has_text = hasattr(self.model, "get_text_features")
        self.processor: Any = _optional(AutoImageProcessor.from_pretrained, folder)
        self.tokenizer: Any = None
        if self.has_text:
            self.tokenizer = _optional(AutoTokenizer.from_pretrained, folder)
            self.context = self.model.config.text_config.max_position_embeddings
        if self.tokenizer is not None:
            self.context = min(self.context, self.tokenizer.model_max_length)
            self._probe_trimming()

    def tensors(self) -> dict[str, Tensor]:
        beside = {} if self.after is None else dict(self.after.named_parameters())
        return {**super().tensors(), **{f"layernorm.{name}": t for name, t in beside.items()}}

    def _tokenise(self, texts: Sequence[str]) -> tuple[Batch, list[int]]:
        if self.tokenizer is None:
            raise InputError(
                "no tokenizer", self.location.name, "save it there with save_pretrained"
            )
        with _silent():  # which would warn of texts that are cut just below, and counted
            full = self.tokenizer(list(texts), add_special_tokens=True)["input_ids"]
        self.truncated += sum(len(ids) > self.context for ids in full)
        # All that the tokenizer returns goes in: where it returns a mask, the tower needs it.
        batch = self.tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self.context,
            return_tensors="pt",
        )
        return dict(batch), [min(len(ids), self.context) for ids in full]

    @torch.inference_mode()
    def _text_features(self, tokens: Batch) -> Tensor:
        return _feature(self.model.get_text_features(**tokens), ("pooler",))

    def _image_features(self, batch: Batch) -> Tensor:
        if hasattr(self.model, "get_image_features"):
            return _feature(self.model.get_image_features(**batch), ("pooler",))
        feature = _feature(self.model(**batch), self.pooled)
        return feature if self.after is None else self.after(feature)

    def _preprocess(self, images: Sequence[Image]) -> Batch:
        if self.processor is None:
            raise InputError(
                "no image processor", self.location.name, "save it there with save_pretrained"
            )
        rgb = [image.convert("RGB") for image in images]
        return dict(self.processor(images=rgb, return_tensors="pt"))


def _load(opened: Model, folder: str, dtype: torch.dtype) -> Any:
    """The tower, or the whole CLIP: by the class that the config names, so that no part of the
    read-out is left out, and never more than the tower of a language model."""
    import transformers

    options: dict[str, Any] = {}
    config = opened.location.config
    named = str((config.get("architectures") or [""])[0])
    kind = getattr(transformers, named, transformers.AutoModel)
    inside = config.get("model_type") not in opened.family.model_types
    # A classifier on a CLIP's tower keeps no texts: the tower alone is what it has.
    inside = inside or bool(opened.family.within and named.endswith("ForImageClassification"))
    if opened.family.name == CLIP_TOWER.name and not inside:
        steps = [step.op for step in opened.readout.steps]
        kind = transformers.CLIPVisionModelWithProjection
        kind = kind if "linear" in steps else transformers.AutoModel
    elif opened.family.within or inside or named.endswith("Backbone"):
        kind = transformers.AutoModel
    if inside:
        whole = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        options["config"] = getattr(whole, "vision_config", None) or whole.encoder
        options["key_mapping"] = {"^" + opened.tower.prefix.replace(".", r"\."): ""}
    with _silent():
        model, report = kind.from_pretrained(
            folder, dtype=dtype, trust_remote_code=False, output_loading_info=True, **options
        )
    _check_complete(report["missing_keys"], opened)
    return model


def _features_of(model: Any) -> Any:
    """The part whose output has the feature: a classifier's stands before its head; a plain model
    may have a ``model`` inside, too."""
    whole = hasattr(model, "get_image_features") or hasattr(model, "visual_projection")
    return model if whole or type(model).__name__.endswith("Model") else model.base_model


@contextmanager
def _silent() -> Iterator[None]:
    """Without the library's report of what a checkpoint has besides."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _check_complete(missing: Collection[str], opened: Model) -> None:
    """The library starts what a checkpoint lacks at random, with no more than a warning."""
    if opened.family.pooled == ("class",):
        missing = [name for name in missing if "pooler." not in name]  # that is not read
    if missing:
        raise InputError(
            f"the checkpoint lacks {len(missing)} of the model's weights: {min(missing)}",
            opened.location.weights,
            "use a whole checkpoint",
        )


def _optional(load: Any, folder: str) -> Any:
    try:
        return load(folder, trust_remote_code=False)
    except (OSError, ValueError):
        return None


def _feature(output: Any, pooled: tuple[str, ...]) -> Tensor:
    """The feature in a library's output: its own pooled one, or of the normed tokens."""
    if isinstance(output, Tensor):
        return output
    feature = getattr(output, "image_embeds", None)
    if feature is None and "pooler" in pooled:
        feature = output.pooler_output
    if feature is None:
        tokens = output.last_hidden_state
        feature = tokens[:, 0] if "class" in pooled else tokens.mean(1)
    return feature
