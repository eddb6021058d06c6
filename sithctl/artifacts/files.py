"""What a notebook loads and saves, whatever its kind: artefacts, and plans of edits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, overload

from sithctl.artifacts import store
from sithctl.artifacts.containers import read
from sithctl.artifacts.plans import read_plan, write_plan
from sithctl.artifacts.streams import readable
from sithctl.errors import InputError
from sithctl.kinds import KINDS, Artefact, Plan

K = TypeVar("K", bound=Artefact | Plan)

PLANS = {".csv", ".toml"}


@overload
def load(source: str | Path) -> Artefact | Plan: ...


@overload
def load(source: str | Path, kind: type[K]) -> K: ...


def load(source: str | Path, kind: type[Any] | None = None) -> Artefact | Plan:
    """Read what a stage or a command wrote.

    Args:
        source: a file: heads, spectra, a pool, a mean, codes, a delta; or a plan, ``.csv`` or
            ``.toml``.
        kind: what it must be, such as ``Codes``: then a type checker knows, too; any when None.

    Returns:
        Heads, Spectra, Pool, Mean, Codes, Delta or Plan, as the file says.

    Raises:
        InputError: the file is missing, damaged, of another kind or of a later schema.

    >>> from sithctl.scenes import bundled
    >>> load(bundled.MEAN)
    Mean(scenes: of 4,096 images, 48 features, norm 0.42)
    """
    if kind is None:
        kind = Plan if Path(source).suffix in PLANS else _kind_of(source)
    if issubclass(kind, Plan):
        return read_plan(source)
    return store.load(source, kind)


def _kind_of(source: str | Path) -> type[Artefact]:
    with readable(source) as path:
        document, _ = read(path, str(source), only_document=True)
    if document["kind"] not in KINDS:
        raise InputError(f"unknown kind {document['kind']}", source, "upgrade sithctl")
    return KINDS[document["kind"]]


def save(thing: Artefact | Plan, target: str | Path) -> None:
    """Write an artefact or a plan as the commands do, whole or not at all; what lies there is
    overwritten.

    Args:
        thing: what a stage gave; of an edit its ``plan``, or its ``delta``, which
            ``sithctl edit MODEL --apply FILE`` puts on.
        target: a file: safetensors of heads, spectra and deltas, HDF5 of pools, means and codes,
            whatever its suffix; of a plan TOML where it ends so, else CSV.

    Raises:
        InputError: it cannot be written there.
    """
    if isinstance(thing, Plan):
        write_plan(thing, target)
    else:
        store.save(thing, target)
