"""Models by their library's own name, fetched the library's own way."""

from __future__ import annotations

from pathlib import Path

from sithctl.checkpoints.files import WEIGHTS, find_weights
from sithctl.errors import InputError
from sithctl.models.location import ADAPTER_WEIGHTS, Location, read_config
from sithctl.models.nearest import nearest

# What a repository may call its weights, those that are looked for first standing first; many have
# the same weights several times over.
_TRANSFORMERS = (
    ["model.safetensors", "model-*.safetensors", ADAPTER_WEIGHTS[0]],
    ["pytorch_model*.bin", ADAPTER_WEIGHTS[1]],
)
_OPEN_CLIP = (["open_clip*.safetensors"], ["open_clip*.bin"])


def hub_folder(model: str, *, open_clip: bool = False) -> Path:
    """A hub repository's folder: configs and tokenizer, and its weights once.

    Raises:
        InputError: the hub does not give it.
    """
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


def open_clip_model(model: str) -> Location:
    """``open_clip:ARCHITECTURE/TAG``, from where OpenCLIP says.

    Raises:
        InputError: OpenCLIP has no such model, no weights of that tag, or cannot fetch them.
    """
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


def timm_model(model: str) -> Location:
    """``timm:NAME`` or ``timm:NAME.TAG``, from the hub repository that timm names for it.

    Raises:
        InputError: timm has no such model, or no weights of it on the hub, or these are not there.
    """
    import timm
    from timm.models import get_pretrained_cfg

    name = model.removeprefix("timm:").removeprefix("hf-hub:")
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
    folder = hub_folder(settings.hf_hub_id)
    named = folder / settings.hf_hub_filename if settings.hf_hub_filename else None
    found = named or find_weights(folder, "timm")
    if found is None:
        raise InputError(f"no weights ({', '.join(WEIGHTS['timm'])})", folder, "fetch them again")
    config = read_config(folder / "config.json") if (folder / "config.json").exists() else {}
    return Location(model, "timm", found, (name,), {**config, "architecture": architecture})
