"""From what a user calls a model to its files on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sithctl.checkpoints.files import WEIGHTS, find_weights
from sithctl.errors import InputError
from sithctl.models.nearest import nearest

_SCENES = Path(__file__).parent.parent / "scenes"
BUNDLED = {"scenes": _SCENES / "clip", "scenes-vit": _SCENES / "vit"}
OPEN_CLIP_CONFIG = "open_clip_config.json"
ADAPTER_CONFIG = "adapter_config.json"
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


CHECKPOINTS = {".safetensors", ".bin", ".pt", ".pth"}


def locate(model: str) -> Location:
    """Find a model: ``scenes`` or ``scenes-vit``, a directory, a file in one, ``open_clip:…``,
    ``timm:…`` or a hub id. A LoRA adapter's folder means its base model with the adapter merged.

    Raises:
        InputError: there is no such model, or it is of a kind that is not supported.
    """
    if model in BUNDLED:
        return _directory(BUNDLED[model], model)
    if model.startswith("open_clip:hf-hub:"):
        name = model.removeprefix("open_clip:hf-hub:")
        return _directory(_hub(name, open_clip=True), model, libraries=("open_clip",))
    if model.startswith("open_clip:"):
        return _open_clip(model)
    if model.startswith("timm:"):
        return _timm(model)
    path = Path(model)
    if is_adapter(path):
        return _adapter(path, path.resolve().name)
    if path.is_dir():
        return _directory(path, path.resolve().name)
    if path.is_file():
        if path.name in ADAPTER_WEIGHTS and is_adapter(path.parent):
            return _adapter(path.parent, path.resolve().parent.name)
        if path.suffix not in CHECKPOINTS and not path.name.endswith(".index.json"):
            raise InputError("not a checkpoint", path, "give a model directory")
        if not any((path.parent / name).exists() for name in LIBRARIES.values()):
            return Location(path.stem, "bare", path, None, {})
        return _directory(path.parent, path.resolve().parent.name, path)
    if model.count("/") == 1 and not model.startswith((".", "/", "~")):
        folder = _hub(model)
        return _adapter(folder, model) if is_adapter(folder) else _directory(folder, model)
    raise InputError(
        "no such model",
        model,
        "give `scenes`, a model directory, open_clip:NAME/TAG, timm:NAME or a Hugging Face id",
    )


LIBRARIES = {
    "transformers": "config.json",
    "open_clip": OPEN_CLIP_CONFIG,
    "timm": "config.json",
}


def is_adapter(folder: Path) -> bool:
    """Whether peft saved an adapter there."""
    return (folder / ADAPTER_CONFIG).is_file()


def _adapter(folder: Path, name: str) -> Location:
    """A base model, to be seen through an adapter."""
    if any(find_weights(folder, library) for library in WEIGHTS):
        todo = "give each a folder of its own"
        raise InputError("a model and an adapter in one folder", folder, todo)
    base = _base(folder, _json(folder / ADAPTER_CONFIG).get("base_model_name_or_path"))
    return replace(base, name=name, adapter=folder)


def _base(folder: Path, named: Any) -> Location:
    """The model that an adapter was made for: a path, from here or from the adapter's folder, or
    a name."""
    config, todo = folder / ADAPTER_CONFIG, "correct its base_model_name_or_path: a path or a name"
    if not isinstance(named, str) or not named:
        raise InputError("the adapter does not say what it was made for", config, todo)
    beside = folder / named
    found = str(beside) if beside.exists() and not Path(named).exists() else named
    again = InputError(
        "an adapter of an adapter",
        config,
        "merge the first into a model of its own, with peft's merge_and_unload",
    )
    if is_adapter(Path(found)):  # its own base, even
        raise again
    try:
        base = locate(found)
    except InputError as error:
        what = f"the adapter's base model is not to be had ({named}: {error.what})"
        raise InputError(what, config, todo) from error
    if base.adapter is not None:
        raise again
    return base


def _is_timm(document: dict[str, Any]) -> bool:
    """timm's config has transformers' file name, but an architecture and no ``model_type``."""
    return "architecture" in document and "model_type" not in document


def _directory(
    folder: Path,
    name: str,
    weights: Path | None = None,
    libraries: tuple[str, ...] = ("transformers", "open_clip"),
) -> Location:
    """A model's directory; one that two libraries can read is taken as the first's."""
    configured = [n for n in libraries if (folder / LIBRARIES[n]).exists()]
    if not configured:
        wanted = " or ".join(LIBRARIES[library] for library in libraries)
        raise InputError(
            f"not a model directory (no {wanted})",
            folder,
            "save the model there with save_pretrained",
        )
    document = _json(folder / LIBRARIES[configured[0]])
    if _is_timm(document):
        configured = ["timm"]
    own = {library: find_weights(folder, library) for library in configured}
    library = next((n for n in configured if own[n]), configured[0])
    found = weights or own[library]
    if found is None:
        raise InputError(
            f"no weights (looked for {', '.join(WEIGHTS[library])})",
            folder,
            "save the model there with save_pretrained",
        )
    loads_these = own[library] is not None and found.resolve() == own[library].resolve()  # type: ignore[union-attr]
    document = _json(folder / LIBRARIES[library])
    if library in {"open_clip", "timm"}:
        loader = (f"local-dir:{folder.resolve()}",)
        config = document if library == "timm" else document.get("model_cfg", document)
        if not isinstance(config, dict):
            raise InputError("model_cfg is no JSON object", folder, "copy the config again")
    else:
        loader = (str(folder),)
        config = document if "model_type" in document else full_config(str(folder))
    return Location(name, library, found, loader if loads_these else None, config)


def _json(path: Path) -> dict[str, Any]:
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


# What a repository may call its weights, those that are looked for first standing first; many have
# the same weights several times over.
_TRANSFORMERS = (
    ["model.safetensors", "model-*.safetensors", ADAPTER_WEIGHTS[0]],
    ["pytorch_model*.bin", ADAPTER_WEIGHTS[1]],
)
_OPEN_CLIP = (["open_clip*.safetensors"], ["open_clip*.bin"])


def _hub(model: str, *, open_clip: bool = False) -> Path:
    """A hub repository's folder: configs and tokenizer, and its weights once."""
    from huggingface_hub import snapshot_download

    safe, pickled = zip(_TRANSFORMERS, _OPEN_CLIP, strict=True)
    if open_clip:
        safe, pickled = safe[::-1], pickled[::-1]
    try:
        for names in (*safe, *pickled):
            folder = Path(snapshot_download(model, allow_patterns=["*.json", "*.txt", *names]))
            if any(path for name in names for path in folder.glob(name)):
                break
    except Exception as error:  # the hub's client raises its own and its transport's types
        raise InputError(
            "no such folder, and the Hugging Face hub does not give it",
            model,
            "check the name and the network, or give a model directory",
        ) from error
    return folder


def _open_clip(model: str) -> Location:
    import open_clip

    architecture, _, tag = model.removeprefix("open_clip:").partition("/")
    if architecture not in open_clip.list_models():
        todo = f"nearest: {nearest(architecture, open_clip.list_models())}"
        raise InputError("OpenCLIP has no such model", architecture, todo)
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


def _timm(model: str) -> Location:
    """``timm:NAME`` or ``timm:NAME.TAG``, from the hub repository that timm names for it."""
    import timm
    from timm.models import get_pretrained_cfg

    name = model.removeprefix("timm:").removeprefix("hf-hub:")
    if "/" in name:
        return _directory(_hub(name), model)
    architecture = name.split(".")[0]
    if not timm.is_model(architecture):
        todo = f"nearest: {nearest(architecture, timm.list_models())}"
        raise InputError("timm has no such model", name, todo)
    try:
        settings = get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError:
        settings = None
    if settings is None or not settings.hf_hub_id:
        tags = [n for n in timm.list_pretrained() if n.split(".")[0] == architecture]
        todo = f"one of {', '.join(tags) or 'none'}"
        raise InputError("timm has no weights on the hub for it", name, todo)
    folder = _hub(settings.hf_hub_id)
    named = folder / settings.hf_hub_filename if settings.hf_hub_filename else None
    found = named or find_weights(folder, "timm")
    if found is None:
        raise InputError(f"no weights ({', '.join(WEIGHTS['timm'])})", folder, "fetch them again")
    config = _json(folder / "config.json") if (folder / "config.json").exists() else {}
    return Location(model, "timm", found, (name,), {**config, "architecture": architecture})
