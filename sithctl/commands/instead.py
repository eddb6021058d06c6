"""A thing of another kind where a file of ours was expected: what it is for, said in the error."""

from __future__ import annotations

import shlex
from pathlib import Path

from sithctl.errors import InputError
from sithctl.models.location import OPEN_CLIP_CONFIG

LOOKED_AT = 4096  # bytes; a file of ours has zeros among its first


def is_text(path: Path) -> bool:
    """Whether a file looks like people's words and not like ours, whole or truncated; a named pipe
    is not looked into, for that would empty it."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            start = file.read(LOOKED_AT)
    except OSError:
        return False
    try:
        start[: start.rfind(b"\n") + 1 or None].decode()
    except UnicodeDecodeError:
        return False
    return bool(start.strip()) and b"\0" not in start


def refuse_images(source: str, model: str = "MODEL") -> None:
    """Images where their mean was expected."""
    from sithctl.sources.open import SCENES, is_images

    if source == SCENES or (is_images(source) and not Path(source).is_file()):
        make = f"sithctl mean {shlex.quote(source)} --model {shlex.quote(model)} -o mean.h5"
        todo = f"make it with `{make}`, then give --mean mean.h5"
        raise InputError("images, where the mean of their features was expected", source, todo)


def refuse_text(source: str, expected: str) -> None:
    """A list of words where a file of ours was expected."""
    if is_text(Path(source)):
        make = f"sithctl encode-pool {shlex.quote(source)} -o pool.h5"
        what = f"a text, where {expected} expected"
        raise InputError(what, source, f"encode a list of words with `{make}`")


def refuse_model(source: str) -> None:
    """A model where codes were expected."""
    from sithctl.models.locate import BUNDLED

    path = Path(source)
    configs = ("config.json", OPEN_CLIP_CONFIG)
    if (source in BUNDLED and not path.exists()) or any((path / c).is_file() for c in configs):
        todo = f"give it as --model {shlex.quote(source)}"
        raise InputError("a model, where codes were expected", source, todo)
