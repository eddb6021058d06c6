"""Where a model's files lie, and what its config says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sithctl.errors import InputError

OPEN_CLIP_CONFIG = "open_clip_config.json"
ADAPTER_CONFIG = "adapter_config.json"
HISTORY = "sithctl.json"  # what `edit` leaves in a model's folder
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


@dataclass(frozen=True)
class Location:
    """Where a model lies.

    Attributes:
        name: its id, or its folder's base name: what artefacts carry.
        library: whose files they are: ``transformers``, ``open_clip``, ``timm``, or ``bare`` for a
            checkpoint without a config.
        weights: the checkpoint: a file, or an index of shards.
        loader: what the library itself loads the model by; None where it would load other weights
            than these.
        config: the model's own config as its file has it; of transformers' see ``full_config``.
        adapter: the folder of a LoRA adapter to see the weights through; all else is its base's.
    """

    name: str
    library: str
    weights: Path
    loader: tuple[str, ...] | None
    config: dict[str, Any]
    adapter: Path | None = None


def is_adapter(folder: Path) -> bool:
    """Whether peft saved an adapter there."""
    return (folder / ADAPTER_CONFIG).is_file()


def read_config(path: Path) -> dict[str, Any]:
    """A config's JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError("not JSON that can be read", path, "copy the config again") from error
    if not isinstance(content, dict):
        raise InputError("not a model's config", path, "expected a JSON object")
    return content


def full_config(folder: str) -> dict[str, Any]:
    """The config with the library's own defaults filled in: old files leave most keys out."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        result: dict[str, Any] = config.to_dict()
    except Exception as error:  # its validation has types of its own
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"transformers cannot read its config ({first})", folder, "use the model's own"
        ) from error
    return result
