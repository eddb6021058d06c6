"""A whole model directory written with other weights: what lies beside them copied, in one move."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from sithctl.checkpoints.files import WEIGHTS, find_weights
from sithctl.checkpoints.reader import Checkpoint
from sithctl.checkpoints.writer import (
    copy_beside,
    is_weights,
    write_checkpoint,
    written_names,
)
from sithctl.errors import InputError
from sithctl.models.location import HISTORY, OPEN_CLIP_CONFIG
from sithctl.models.model import Model

PLAN, README = "sithctl-plan.csv", "README.md"  # what we write beside, and HISTORY
OURS = ("<!-- sithctl edit -->", "<!-- end of sithctl edit -->")  # around our part of a README


def check_directory(model: Model, target: Path, force: bool) -> None:
    """Refuse a target before any work is done for it.

    Raises:
        InputError: it is the source or in it, a file, not empty without ``force``, holds weights
            of another model, or cannot be written.
    """
    source = model.location.weights.resolve().parent
    place = target.resolve()
    named = model.location.weights.absolute().parent
    if {source, named.resolve()} & {place, *place.parents}:
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
    ours = set(written_names(model.checkpoint, _name(model)).values())
    for path in sorted(place.iterdir()):
        if is_weights(path) and path.name not in ours:
            raise InputError(f"other weights lie there: {path.name}", place, "take another name")


def _name(model: Model) -> str | None:
    """For weights in one file, the name under which their library looks for them; None where it
    looks for their own, or there is no library."""
    known = WEIGHTS.get(model.location.library)
    path = model.location.weights
    if known is None or path.name in known or path.name.endswith(".index.json"):
        return None
    return known[0]


def write_directory(
    model: Model,
    changed: Mapping[str, Tensor],
    target: Path,
    texts: Callable[[Model], Mapping[str, str]],
    undone: bool = False,
) -> list[str]:
    """Write the model with changed tensors, and texts of ours beside it.

    Args:
        model: the original.
        changed: new tensors by name.
        target: checked by ``check_directory``.
        texts: of the written model, opened before it takes its place: file names → contents. A
            README keeps the original's text below ours; others take the place of the original's.
        undone: the latest edit is taken off: what a README says of it goes.

    Returns:
        The names of other weights that lie beside the original's and were left out.

    Raises:
        InputError: it cannot be written.
    """
    source = model.location.weights.parent
    try:
        with _in_one_move(target) as part:
            left_out = _beside(model, source, part)
            _add_config(model, part)
            weights = write_checkpoint(model.checkpoint, changed, part, _name(model))
            for name in (HISTORY, PLAN):
                (part / name).unlink(missing_ok=True)
            if undone and (part / README).exists():
                _put(part / README, "", undone)
            for name, text in texts(_opened(model, weights)).items():
                _put(part / name, text)
    except OSError as error:
        raise InputError("cannot write", target, error.strerror or str(error)) from error
    own = {path.name for path in written_names(model.checkpoint)}
    return [name for name in left_out if name not in own]


def _beside(model: Model, source: Path, part: Path) -> list[str]:
    """Copy what lies beside the weights, where that is the model's: a bare checkpoint's folder, or
    the one in which OpenCLIP keeps all its downloads, is anybody's."""
    location = model.location
    named = len(location.loader or ()) == 2
    if location.library == "bare" or (named and not (source / OPEN_CLIP_CONFIG).exists()):
        return []
    return copy_beside(source, part, _of_another_library(model, source))


def _of_another_library(model: Model, source: Path) -> frozenset[str]:
    """The config by which another library would take these weights for its own, which lie in
    another file."""
    if model.location.library != "transformers":
        return frozenset()
    theirs = find_weights(source, "open_clip")
    same = theirs is not None and theirs.resolve() == model.location.weights.resolve()
    return frozenset() if same else frozenset({OPEN_CLIP_CONFIG})


def earlier(model: Model) -> list[dict[str, Any]]:
    """The history of a model that was edited before; none where its file is not ours."""
    try:
        document = json.loads((model.location.weights.parent / HISTORY).read_text(encoding="utf-8"))
        history = document["history"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return history if isinstance(history, list) else []


def _opened(model: Model, weights: Path) -> Model:
    """What was written, opened anew."""
    tower = replace(model.tower, checkpoint=Checkpoint(weights))
    return replace(model, location=replace(model.location, weights=weights), tower=tower)


def _put(path: Path, text: str, undone: bool = False) -> None:
    """A README's bytes that are no UTF-8 stay as they are."""
    if path.name == README and path.exists():
        old = path.read_text(encoding="utf-8", errors="surrogateescape")
        text = _without_ours(old) if undone else _joined(text, old)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def _without_ours(text: str) -> str:
    """A README without its first part of ours."""
    head, first, rest = text.partition(f"{OURS[0]}\n")
    _, last, body = rest.partition(f"{OURS[1]}\n")
    return head + body.removeprefix("\n---\n\n") if first and last else text


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
    """A folder that takes the target's place at the end, or is gone. A target that is there stays
    the folder it is, for it may be a mount; its files then change one by one."""
    place = target.resolve()
    there = place.is_dir()
    name = f".{place.name}.{os.getpid()}.part"
    part = place / name if there else place.with_name(name)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        if there:
            _move_into(place, part)
        else:
            part.replace(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _move_into(place: Path, part: Path) -> None:
    files = sorted(part.iterdir())
    for path in files:
        if (place / path.name).is_dir():
            raise InputError(f"a folder lies there: {path.name}", place, "take another name")
    for name in (HISTORY, PLAN):  # of an edit that was there before
        (place / name).unlink(missing_ok=True)
    for path in files:
        path.replace(place / path.name)
