"""Load and save the kinds that stages hand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sithctl.artifacts.containers import read, write_hdf5, write_safetensors
from sithctl.artifacts.streams import PIPE, readable, writable
from sithctl.errors import InputError
from sithctl.kinds import KINDS, SCHEMA, Artefact, Column
from sithctl.kinds.base import digest_of
from sithctl.kinds.shard import Columns, Part, Shard

T = TypeVar("T", bound=Artefact)

SHARD = "shard"  # a part's entry in the document, and the prefix of its columns
MADE_BY = {
    "heads": "fold",
    "spectra": "svd",
    "pool": "encode-pool",
    "mean": "mean",
    "codes": "decompose",
    "delta": "edit --delta",
}


def save(
    artefact: Artefact,
    target: str | Path | None,
    *,
    times: dict[str, Any] | None = None,
    shard: Shard | None = None,
    seams: Columns | None = None,
) -> None:
    """Write an artefact to a path, or to standard output for ``-`` and None.

    Args:
        artefact: what to write.
        target: where.
        times: what ``--history full`` adds to the last stage's entry.
        shard: which part of a whole it is, where it is one.
        seams: what a part brings to be joined with the others.
    """
    if times:
        *before, last = artefact.history
        artefact = artefact.with_history((*before, {**last, **times}))
    document, arrays = artefact.document(), artefact.arrays()
    digest = artefact.digest
    if shard is not None:
        document[SHARD] = shard.document()
        arrays |= {f"{SHARD}/{name}": column for name, column in (seams or {}).items()}
        digest = digest_of(document, arrays)
    write = write_safetensors if artefact.container == "safetensors" else write_hdf5
    with writable(target) as path:
        write(path, {**document, "digest": digest}, arrays)


def load(
    source: str | Path, kind: type[T], *, shown: str | None = None, stored: Sequence[str] = ()
) -> T:
    """Read an artefact of one kind from a path or, for ``-``, from standard input.

    Args:
        source: where it is.
        kind: what it must be.
        shown: what to call the source in an error.
        stored: tables that are to stay in the file until their rows are asked for.

    Raises:
        InputError: the file is missing, damaged, of another kind or of a later schema.
    """
    shown = shown or shown_name(source)
    with readable(source) as path:
        document, arrays = read(path, shown, stored=stored)
    _check_kind(document, kind, shown)
    if SHARD in document:
        what = "a part of a whole, which `sithctl info` shows"
        raise InputError(what, shown, "join all parts with `sithctl merge`")
    artefact = _made_of(document, arrays, kind, shown)
    # Trusted, not computed again: a pool can be gigabytes. `sithctl info --check` computes it.
    if isinstance(document.get("digest"), str):
        artefact.__dict__["digest"] = document["digest"]
    return artefact


def load_part(source: str | Path) -> Part:
    """Read a part of a whole, of any kind.

    Raises:
        InputError: the file is missing or damaged, or no part.
    """
    shown = shown_name(source)
    with readable(source) as path:
        document, arrays = read(path, shown)
    if SHARD not in document or document["kind"] not in KINDS:
        raise InputError("a whole, no part of one", shown, "give what --shard has written")
    kind = KINDS[document["kind"]]
    _check_kind(document, kind, shown)
    mark = f"{SHARD}/"
    seams = {n.removeprefix(mark): c for n, c in arrays.items() if n.startswith(mark)}
    artefact = _made_of(document, arrays, kind, shown)
    try:
        return Part(artefact, Shard.parse(document[SHARD]), seams, shown)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(kind, f"shard {error}", shown) from error


def _made_of(
    document: dict[str, Any], arrays: Mapping[str, Column], kind: type[T], shown: str
) -> T:
    try:
        return kind.from_parts(document, arrays)
    except KeyError as error:
        raise _damaged(kind, f"{error} is missing or wrong", shown) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise _damaged(kind, str(error), shown) from error


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
