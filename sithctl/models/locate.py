"""From what a user calls a model to its files on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sithctl.errors import InputError

SCENES = Path(__file__).parent.parent / "scenes" / "clip"
OPEN_CLIP_CONFIG = "open_clip_config.json"


@dataclass(frozen=True)
class Location:
    """Where a model lies.

    Attributes:
        name: its id, or its folder's base name: what artefacts carry.
        library: whose files they are: ``transformers`` or ``open_clip``.
        weights: the checkpoint (a file or an index of shards), or its folder.
        loader: what the library itself loads the model by.
        config: the model's own config.
    """

    name: str
    library: str
    weights: Path
    loader: tuple[str, ...]
    config: dict[str, Any]


def locate(model: str) -> Location:
    """Find a model: ``scenes``, a directory, a file in one, ``open_clip:…`` or a hub id.

    Raises:
        InputError: there is no such model, or it is of a kind that is not supported.
    """
    if model == "scenes":
        return _directory(SCENES, "scenes")
    if model.startswith("open_clip:"):
        return _open_clip(model)
    if model.startswith("timm:"):
        raise InputError("not supported: timm models", model, "use transformers' or OpenCLIP's")
    path = Path(model)
    if path.is_dir():
        return _directory(path, path.resolve().name)
    if path.is_file():
        if path.suffix not in {".safetensors", ".bin", ".pt"}:
            raise InputError("not a checkpoint", path, "give a model directory")
        return _directory(path.parent, path.resolve().parent.name, path)
    if model.count("/") == 1 and not model.startswith((".", "/", "~")):
        return _hub(model)
    raise InputError(
        "no such model",
        model,
        "give `scenes`, a model directory, open_clip:NAME/TAG or a Hugging Face id",
    )


def _directory(folder: Path, name: str, weights: Path | None = None) -> Location:
    where = weights or folder
    if (folder / OPEN_CLIP_CONFIG).exists():
        config = _json(folder / OPEN_CLIP_CONFIG)
        loader = ("local-dir:" + str(folder.resolve()),)
        return Location(name, "open_clip", where, loader, config.get("model_cfg", config))
    if (folder / "config.json").exists():
        _json(folder / "config.json")
        return Location(
            name, "transformers", where, (str(folder),), _transformers_config(str(folder))
        )
    raise InputError(
        "not a model directory (no config.json or open_clip_config.json)",
        folder,
        "save the model there with save_pretrained",
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError("not JSON", path, "copy the model's config again") from error
    if not isinstance(content, dict):
        raise InputError("not a model's config", path, "expected a JSON object")
    return content


def _transformers_config(name: str) -> dict[str, Any]:
    """The config with the library's own defaults filled in: old files leave most keys out."""
    from transformers import AutoConfig

    try:
        result: dict[str, Any] = AutoConfig.from_pretrained(name).to_dict()
    except (OSError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(f"transformers cannot read its config ({first})", name) from error
    return result


def _hub(model: str) -> Location:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(model, allow_patterns=["*.json", "*.txt", "*.safetensors"]))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(model, allow_patterns=["*.json", "*.bin", "*.txt"]))
    except Exception as error:  # the hub's client raises its own and its transport's types
        raise InputError(
            "no such folder, and the Hugging Face hub does not give it",
            model,
            "check the name and the network, or give a model directory",
        ) from error
    if (folder / "config.json").exists():
        return Location(
            model, "transformers", folder, (str(folder),), _transformers_config(str(folder))
        )
    return _directory(folder, model)


def _open_clip(model: str) -> Location:
    import open_clip

    name = model.removeprefix("open_clip:")
    if name.startswith("hf-hub:"):
        found = _hub(name.removeprefix("hf-hub:"))
        if found.library != "open_clip":
            raise InputError("not an OpenCLIP model", model, "leave open_clip:hf-hub: out")
        return found
    architecture, _, tag = name.partition("/")
    if architecture not in open_clip.list_models():
        raise InputError(
            "OpenCLIP has no such model", architecture, "see open_clip.list_models() for names"
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    settings = open_clip.get_pretrained_cfg(architecture, tag)
    if not settings:
        raise InputError(
            f"OpenCLIP has no weights {tag or '(none named)'} for it",
            architecture,
            f"one of {', '.join(tags)}",
        )
    try:
        weights = Path(open_clip.download_pretrained(settings))
    except Exception as error:  # as above
        raise InputError(
            "OpenCLIP cannot fetch the weights", model, "check the network, or give a directory"
        ) from error
    config = open_clip.get_model_config(architecture)
    return Location(model, "open_clip", weights, (architecture, tag), config)
