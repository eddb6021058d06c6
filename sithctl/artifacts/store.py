"""Load and save the kinds that stages hand on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from sithctl.artifacts.containers import read, write_hdf5, write_safetensors
from sithctl.artifacts.streams import PIPE, readable, writable
from sithctl.errors import InputError
from sithctl.kinds import KINDS, SCHEMA, Artefact
from sithctl.kinds.base import digest_of

T = TypeVar("T", bound=Artefact)

MADE_BY = {
    "heads": "fold",
    "spectra": "svd",
    "pool": "encode-pool",
    "mean": "mean",
    "codes": "decompose",
    "delta": "edit --delta",
}


def save(
    artefact: Artefact, target: str | Path | None, *, times: dict[str, Any] | None = None
) -> None:
    """Write an artefact to a path, or to standard output for ``-`` and None.

    Args:
        artefact: what to write.
        target: where.
        times: what ``--history full`` adds to the last stage's entry.
    """
    if times:
        *before, last = artefact.history
        artefact = artefact.with_history((*before, {**last, **times}))
    document = {**artefact.document(), "digest": artefact.digest}
    write = write_safetensors if artefact.container == "safetensors" else write_hdf5
    with writable(target) as path:
        write(path, document, artefact.arrays())


def load(source: str | Path, kind: type[T], *, shown: str | None = None) -> T:
    """Read an artefact of one kind from a path or, for ``-``, from standard input.

    Args:
        source: where it is.
        kind: what it must be.
        shown: what to call the source in an error.

    Raises:
        InputError: the file is missing, damaged, of another kind or of a later schema.
    """
    shown = shown or shown_name(source)
    with readable(source) as path:
        document, arrays = read(path, shown)
    _check_kind(document, kind, shown)
    try:
        artefact = kind.from_parts(document, arrays)
    except KeyError as error:
        raise _damaged(kind, f"{error} is missing or wrong", shown) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise _damaged(kind, str(error), shown) from error
    # Trusted, not computed again: a pool can be gigabytes. `sithctl info --check` computes it.
    if isinstance(document.get("digest"), str):
        artefact.__dict__["digest"] = document["digest"]
    return artefact


def _check_kind(document: dict[str, Any], kind: type[Artefact], shown: str) -> None:
    found = document["kind"]
    if found != kind.kind:
        raise InputError(
            f"expected {kind.kind} (from `sithctl {MADE_BY[kind.kind]}`), found {found}",
            shown,
            "give the file of the stage before",
        )
    schema = document.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise _damaged(kind, f"schema {schema!r} is no number from 1", shown)
    if schema > SCHEMA:
        raise InputError(
            f"schema {schema}, newer than this version's {SCHEMA}",
            shown,
            "upgrade sithctl",
        )


def _damaged(kind: type[Artefact], what: str, shown: str) -> InputError:
    todo = f"make it again with `sithctl {MADE_BY[kind.kind]}`"
    return InputError(f"damaged {kind.kind}: {what}", shown, todo)


def intact(source: Path) -> bool:
    """Whether the content still has the digest that was written with it."""
    document, arrays = read(source, shown_name(source))
    if document["kind"] not in KINDS:
        raise InputError(f"unknown kind {document['kind']}", source, "upgrade sithctl")
    written = document.pop("digest", None)
    return bool(digest_of(document, arrays) == written)


def shown_name(source: str | Path) -> str:
    return "standard input" if str(source) == PIPE else str(source)
