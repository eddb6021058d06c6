"""From what a user calls a model to its files on disk."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from sithctl.checkpoints.files import WEIGHTS, find_weights, usual_name
from sithctl.errors import InputError
from sithctl.models.location import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    OPEN_CLIP_CONFIG,
    Location,
    full_config,
    is_adapter,
    read_config,
)
from sithctl.models.named import hub_folder, open_clip_model, timm_model

_SCENES = Path(__file__).parent.parent / "scenes"
BUNDLED = {"scenes": _SCENES / "clip", "scenes-vit": _SCENES / "vit"}
CHECKPOINTS = {".safetensors", ".bin", ".pt", ".pth"}


Named = str | os.PathLike[str]  # what a user calls a model


def spelt(model: Named) -> str:
    """A model as the command line spells it: a path is one, though the folder be called scenes.

    >>> spelt("scenes"), spelt(Path("scenes")), spelt(Path("/models/clip"))
    ('scenes', './scenes', '/models/clip')
    """
    return model if isinstance(model, str) else os.path.join(os.curdir, model)  # noqa: PTH118 (Path drops the dot)


def locate(model: Named) -> Location:
    """Find a model: ``scenes`` or ``scenes-vit``, a directory, a file in one, ``open_clip:…``,
    ``timm:…`` or a hub id. A LoRA adapter's folder means its base model with the adapter merged.

    Raises:
        InputError: there is no such model, or it is of a kind that is not supported.
    """
    model = spelt(model)
    if model in BUNDLED:
        return _directory(BUNDLED[model], model)
    if model.startswith("open_clip:hf-hub:"):
        name = model.removeprefix("open_clip:hf-hub:")
        return _directory(hub_folder(name, open_clip=True), model, libraries=("open_clip",))
    if (folder := _open_clip_folder(model)) is not None:
        return _directory(folder, folder.resolve().name, libraries=("open_clip",))
    if model.startswith("open_clip:"):
        return open_clip_model(model)
    if model.startswith("timm:"):
        name = model.removeprefix("timm:").removeprefix("hf-hub:")
        return _directory(hub_folder(name), model) if "/" in name else timm_model(model)
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
        folder = hub_folder(model)
        return _adapter(folder, model) if is_adapter(folder) else _directory(folder, model)
    raise InputError(
        "no such model",
        model,
        "give `scenes`, a model directory, open_clip:NAME/TAG, timm:NAME or a Hugging Face id",
    )


def _open_clip_folder(model: str) -> Path | None:
    """The folder that ``open_clip:PATH`` or OpenCLIP's own ``local-dir:PATH`` means; None for a
    name."""
    rest = model.removeprefix("open_clip:").removeprefix("local-dir:")
    if rest == model:
        return None
    folder = Path(rest).expanduser()
    is_path = "local-dir:" in model or rest.startswith(("/", ".", "~"))
    return folder if is_path or (folder / OPEN_CLIP_CONFIG).is_file() else None


LIBRARIES = {
    "transformers": "config.json",
    "open_clip": OPEN_CLIP_CONFIG,
    "timm": "config.json",
}


def _adapter(folder: Path, name: str) -> Location:
    """A base model, to be seen through an adapter."""
    if any(find_weights(folder, library) for library in WEIGHTS):
        todo = "give each a folder of its own"
        raise InputError("a model and an adapter in one folder", folder, todo)
    base = _base(folder, read_config(folder / ADAPTER_CONFIG).get("base_model_name_or_path"))
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
    document = read_config(folder / LIBRARIES[configured[0]])
    if _is_timm(document):
        configured = ["timm"]
    own = {library: find_weights(folder, library) for library in configured}
    library = next((n for n in configured if own[n]), configured[0])
    found = weights or own[library]
    if found is None:
        raise _no_weights(folder, library)
    loads_these = own[library] is not None and found.resolve() == own[library].resolve()  # type: ignore[union-attr]
    document = read_config(folder / LIBRARIES[library])
    if library in {"open_clip", "timm"}:
        loader = (f"local-dir:{folder.resolve()}",)
        config = document if library == "timm" else document.get("model_cfg", document)
        if not isinstance(config, dict):
            raise InputError("model_cfg is no JSON object", folder, "copy the config again")
    else:
        loader = (str(folder),)
        config = document if "model_type" in document else full_config(str(folder))
    return Location(name, library, found, loader if loads_these else None, config)


def _no_weights(folder: Path, library: str) -> InputError:
    todo = "save the model there with save_pretrained"
    others = [path for path in folder.iterdir() if path.suffix in CHECKPOINTS]
    if len(others) == 1:
        todo = f"rename {others[0].name} to {usual_name(others[0], library)}"
    return InputError(f"no weights (looked for {', '.join(WEIGHTS[library])})", folder, todo)
