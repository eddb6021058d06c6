"""Deltas put on and taken off a model's directory, with its history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sithctl.errors import UsageError

if TYPE_CHECKING:
    from sithctl.kinds import Delta
    from sithctl.models.model import Model


def note_left_out(names: list[str]) -> None:
    from sithctl.views.console import output

    if names:
        output.note(f"note: not copied, for they are not edited: {', '.join(names)}")


def exchange(model: Model, apply: Path | None, undo: Path | None, folder: Path | None) -> None:
    """Put a delta on, or take one off."""
    from sithctl._version import __version__
    from sithctl.artifacts import load
    from sithctl.kinds import Delta
    from sithctl.models.directory import README, write_directory
    from sithctl.models.location import HISTORY
    from sithctl.stages.delta import applied, undone
    from sithctl.views.console import output
    from sithctl.views.edit import readme_of_delta

    if folder is None:
        raise UsageError("nowhere to write", None, "name a directory with -o")
    swap, path = (applied, apply) if apply is not None else (undone, undo)
    delta = load(str(path), Delta)
    changed = swap(model, delta)

    def texts(_: Model) -> dict[str, str]:
        document = {**delta.document(), "history": history(model, delta, apply is not None)}
        document.pop("dtypes")
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        files = {HISTORY: text} if document["history"] else {}
        if apply is None:
            return files
        return {**files, README: readme_of_delta(delta, model.name, __version__)}

    note_left_out(write_directory(model, changed, folder, texts, undone=apply is None))
    output.note(f"{len(changed)} tensors exchanged: {folder}")


def history(model: Model, delta: Delta, applied: bool) -> list[Any]:
    """The model's history with a delta's, or without it."""
    from sithctl.models.directory import earlier

    before, own = earlier(model), list(delta.history)
    if applied:
        return [*before, *own]
    return before[: -len(own)] if before[-len(own) :] == own else before
