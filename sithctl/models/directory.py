"""A whole model directory written with other weights: what lies beside them copied, in one move."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from sithctl.checkpoints.reader import Checkpoint
from sithctl.checkpoints.writer import WEIGHT_SUFFIXES, copy_beside, write_checkpoint
from sithctl.errors import InputError
from sithctl.models.locate import OPEN_CLIP_CONFIG
from sithctl.models.model import Model


def check_directory(model: Model, target: Path, force: bool) -> None:
    """Refuse a target before any work is done for it.

    Raises:
        InputError: it is the source or in it, a file, not empty without ``force``, holds weights
            of another model, or cannot be written.
    """
    source = model.location.weights.resolve().parent
    place = target.resolve()
    named = model.location.weights.absolute().parent
    if place in (source, named.resolve()) or source in place.parents:
        raise InputError("the target is the model itself", target, "name another directory")
    if place.exists() and not place.is_dir():
        raise InputError("the target is a file", target, "name a directory")
    if place.is_dir() and any(place.iterdir()):
        if not force:
            raise InputError(
                "the target is not empty", target, "take another name, or --force to overwrite"
            )
        _check_only_ours(model, place)
    parent = place.parent
    if not parent.is_dir():
        raise InputError("the target's folder does not exist", parent, "make it first")
    if not os.access(place if place.is_dir() else parent, os.W_OK):
        raise InputError("no permission to write there", target, "take another folder")


def _check_only_ours(model: Model, place: Path) -> None:
    """Other weights beside ours would be a second model in one directory."""
    ours = {path.name for path in model.checkpoint.files().values()}
    ours.add(f"{model.location.weights.stem.replace('pytorch_model', 'model', 1)}.safetensors")
    for path in sorted(place.iterdir()):
        if path.suffix in WEIGHT_SUFFIXES and path.name not in ours:
            raise InputError(f"other weights lie there: {path.name}", place, "take another name")


def write_directory(
    model: Model,
    changed: Mapping[str, Tensor],
    target: Path,
    texts: Callable[[Model], Mapping[str, str]],
) -> list[str]:
    """Write the model with changed tensors, and texts of ours beside it.

    Args:
        model: the original.
        changed: new tensors by name.
        target: checked by ``check_directory``.
        texts: of the written model, opened before it takes its place: file names → contents. A
            README keeps the original's text below ours.

    Returns:
        The names of other weights that lie beside the original's and were left out.

    Raises:
        InputError: it cannot be written.
    """
    source = model.location.weights.parent
    try:
        with _in_one_move(target) as part:
            left_out = copy_beside(source, part) if model.location.library != "bare" else []
            _add_config(model, part)
            write_checkpoint(model.checkpoint, changed, part)
            for name, text in texts(_written(model, part)).items():
                before = part / name
                old = before.read_text(encoding="utf-8") if before.exists() else ""
                before.write_text(_joined(text, old), encoding="utf-8")
    except OSError as error:
        raise InputError("cannot write", target, error.strerror or str(error)) from error
    own = {path.name for path in model.checkpoint.files().values()} | {model.location.weights.name}
    return [name for name in left_out if name not in own]


def _written(model: Model, folder: Path) -> Model:
    """What was written, opened anew."""
    weights = folder / model.location.weights.name
    if not weights.exists():  # a pickled one came back as safetensors
        weights = next(iter(sorted(folder.glob("*.safetensors*"), reverse=True)))
    tower = replace(model.tower, checkpoint=Checkpoint(weights))
    return replace(model, location=replace(model.location, weights=weights), tower=tower)


def _joined(text: str, old: str) -> str:
    """Ours above the original's; a model card's header stays on top, where the hub looks for it."""
    head, body = "", old
    if old.startswith("---\n") and "\n---\n" in old[4:]:
        end = old.index("\n---\n", 4) + 5
        head, body = old[:end], old[end:]
    rest = f"\n---\n\n{body.lstrip()}" if body.strip() else ""
    return f"{head}{text}{rest}"


def _add_config(model: Model, folder: Path) -> None:
    """OpenCLIP keeps the configs of its named models in its own package."""
    if model.location.library != "open_clip" or (folder / OPEN_CLIP_CONFIG).exists():
        return
    import open_clip

    name, tag = (*(model.location.loader or ()), "", "")[:2]
    settings = open_clip.get_pretrained_cfg(name, tag) or {}
    kept = ("size", "mean", "std", "interpolation", "resize_mode")
    preprocess = {k: settings[k] for k in kept if settings.get(k) is not None}
    document = {"model_cfg": model.location.config, "preprocess_cfg": preprocess}
    (folder / OPEN_CLIP_CONFIG).write_text(json.dumps(document, indent=2) + "\n")


@contextmanager
def _in_one_move(target: Path) -> Iterator[Path]:
    """A folder beside the target that takes its place at the end, or is gone."""
    place = target.resolve()
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        if place.exists() and any(place.iterdir()):
            for path in sorted(part.iterdir()):
                path.replace(place / path.name)
        else:
            if place.exists():
                place.rmdir()
            part.replace(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
