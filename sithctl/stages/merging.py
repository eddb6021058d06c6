"""Parts of a whole joined: what ``--shard`` made on several machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np

from sithctl.errors import InputError
from sithctl.kinds import Array, Artefact, Blobs, Codes, Concepts, LayerCodes, Mean, Pool
from sithctl.kinds.base import History, numbers, texts
from sithctl.kinds.codes import LAYER_CODES
from sithctl.kinds.shard import Part
from sithctl.stages.batches import content_sum, shown_digest, skipped
from sithctl.stages.joining import used_concepts
from sithctl.stages.mean import added_up

T = TypeVar("T")

PLAIN = ("stage", "version", "parameters", "inputs")  # of an entry of history, times apart
NAMED = 8  # missing shards that an error names


def merge(parts: Sequence[Part]) -> Artefact:
    """One artefact, as if a single process had made it.

    Args:
        parts: all of one whole, in any order.

    Raises:
        InputError: they are of different runs, or one is missing, there twice, or damaged.
    """
    check(parts)
    parts = sorted(parts, key=lambda part: part.shard.number)
    join: dict[type[Artefact], Callable[[Sequence[Part]], Artefact]]
    join = {Pool: _pool, Mean: _mean, Codes: _codes}
    try:
        return join[type(parts[0].artefact)](parts)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        names = f"{len(parts)} parts, {parts[0].name} the first"
        raise InputError(f"damaged: {error}", names, "make them again") from error


def check(parts: Sequence[Part]) -> None:
    """Refuse parts that are not those of one whole, each once."""
    first, seen = parts[0], dict[int, Part]()
    for part in parts:
        common = [
            (p.shard.run, p.shard.of, p.shard.blocks, type(p.artefact)) for p in (part, first)
        ]
        if common[0] != common[1]:
            raise InputError(
                f"parts of different runs ({_told(first)}, {_told(part)})",
                f"{first.name}, {part.name}",
                "give those that one command made, with nothing but --shard differing",
            )
        if part.shard.number in seen:
            raise InputError(
                f"shard {part.shard.number} is there twice",
                f"{seen[part.shard.number].name}, {part.name}",
                "leave one of them out",
            )
        seen[part.shard.number] = part
    of = first.shard.of
    missing = [str(n) for n in range(1, of + 1) if n not in seen]
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise InputError(
            f"missing of {of} shards: {', '.join(missing[:NAMED])}{more}",
            None,
            f"make what is missing with --shard {missing[0]}/{of}, and give all",
        )


def _common(part: Part) -> tuple[object, ...]:
    return part.artefact.kind, part.shard.run, part.shard.of, part.shard.blocks


def _told(part: Part) -> str:
    return f"{part.artefact.kind} {part.shard.number}/{part.shard.of}"


def _pool(parts: Sequence[Part]) -> Pool:
    pools = [part.artefact for part in parts if isinstance(part.artefact, Pool)]
    first = pools[0]
    order = _order(parts, _seam(parts, "rows"))
    history = _history(parts) if first.modality == "image" else _plain(first.history)
    details = _rows([pool.detail_captions for pool in pools], order)
    thumbnails = _rows([pool.thumbnails for pool in pools], order)
    filled = [pool.embeddings for pool in pools if len(pool.embeddings)]
    if not filled:
        raise InputError("no part has a row", parts[0].name, "give images that can be read")
    return Pool(
        first.model,
        history,
        np.concatenate(filled)[order],
        _rows([pool.concepts for pool in pools], order) or [],
        _rows([pool.factors for pool in pools], order),
        first.modality,
        _rows([pool.sources for pool in pools], order),
        details if details and any(details) else None,
        None if thumbnails is None else Blobs(thumbnails),
    )


def _mean(parts: Sequence[Part]) -> Mean:
    sums = [numbers(part.seams["sums"]) for part in parts]
    rows = _seam(parts, "rows")
    order = _order(parts, [(some > 0).astype(int) for some in rows])  # a batch's sum, if any
    if not len(order):
        raise InputError("no part has an image", parts[0].name, "give images that can be read")
    total = added_up(np.concatenate([some for some in sums if len(some)])[order])
    count = sum(int(some.sum()) for some in rows)
    return Mean(parts[0].artefact.model, _history(parts), total, count)


def _codes(parts: Sequence[Part]) -> Codes:
    """The first part's codes, with every part's own vectors in their rows."""
    codes = [part.artefact for part in parts if isinstance(part.artefact, Codes)]
    first = codes[0]
    owner = _owners(parts)
    layers: dict[int, LayerCodes] = {}
    start = 0
    for number, layer in first.layers.items():
        own = owner[start : (start := start + int(np.prod(layer.indices.shape[:3])))]
        found = [part.layers[number] for part in codes]
        values = {name: _chosen([getattr(f, name) for f in found], own) for name in LAYER_CODES}
        layers[number] = LayerCodes(**values)
    concepts: Concepts = used_concepts(codes, layers)
    return replace(first, history=_plain(first.history), layers=layers, concepts=concepts)


def _owners(parts: Sequence[Part]) -> Array:
    """(vectors,) which part explains each."""
    pieces = [
        (int(start), int(rows), i)
        for i, part in enumerate(parts)
        for start, rows in zip(
            numbers(part.seams["starts"]), numbers(part.seams["rows"]), strict=True
        )
    ]
    owner = np.full(sum(rows for _, rows, _ in pieces), -1)
    for start, rows, i in pieces:
        owner[start : start + rows] = i
    if (owner < 0).any():
        raise ValueError("vectors that no part explains")
    return owner


def _chosen(arrays: list[Array], owner: Array) -> Array:
    """Of arrays alike, the rows (heads, rank, poles) of the part that owns each; what is not of
    rows is the same in all."""
    first = arrays[0]
    if first.ndim < 4:
        return first
    flat = [array.reshape(len(owner), -1) for array in arrays]
    rows = np.stack(flat)[owner, np.arange(len(owner))]
    return np.ascontiguousarray(rows.reshape(first.shape))


def _seam(parts: Sequence[Part], name: str) -> list[Array]:
    return [numbers(part.seams[name]) for part in parts]


def _order(parts: Sequence[Part], counts: Sequence[Array]) -> Array:
    """Where the rows of the whole lie in its parts put one behind the other: a part has every
    ``of``-th block, and ``counts`` says how many rows each of its blocks has."""
    sizes = [count.tolist() for count in counts]
    firsts = [0, *accumulate(sum(size) for size in sizes)]
    spans: dict[int, range] = {}
    for part, size, first in zip(parts, sizes, firsts, strict=False):
        ends = list(accumulate(size, initial=first))
        blocks = zip(part.shard.numbers, ends[:-1], ends[1:], strict=True)
        spans |= {number: range(start, end) for number, start, end in blocks}
    return np.array([row for n in sorted(spans) for row in spans[n]], dtype=np.int64)


def _rows(columns: Sequence[list[T] | None], order: Array) -> list[T] | None:
    """A column of all parts in the whole's order; None where one lacks it."""
    if any(column is None for column in columns):
        return None
    together = [value for column in columns for value in column or ()]
    return [together[i] for i in order]


def _history(parts: Sequence[Part]) -> History:
    """That of pictures: with what all parts skipped, and the digest of all their pictures."""
    *before, last = _plain(parts[0].artefact.history)
    names = [name for part in parts for name in texts(part.seams["skipped"])]
    order = _order(parts, _seam(parts, "skips"))
    content = content_sum(numbers(part.seams["content"]) for part in parts)
    parameters: dict[str, Any] = {k: v for k, v in last["parameters"].items() if k != "skipped"}
    parameters |= skipped([names[i] for i in order])
    return (
        *before,
        {**last, "parameters": parameters, "inputs": {"images": shown_digest(content)}},
    )


def _plain(history: History) -> History:
    """Without the times and arguments of the part."""
    *before, last = history
    return (*before, {name: last[name] for name in PLAIN})
