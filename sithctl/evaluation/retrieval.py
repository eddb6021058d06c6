"""Retrieval of pictures by texts and of texts by pictures, among safe ones and unsafe ones.

The settings are those of ViSU's table (Poppi et al., Safe-CLIP, ECCV 2024): T and V are the safe
texts and pictures, T* and V* their unsafe counterparts. The right answer to an unsafe query is the
safe one of its pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sithctl.errors import InputError, UsageError
from sithctl.evaluation.compared import base_alone, columns, fallen, shares
from sithctl.evaluation.ranks import NEVER, Found, search
from sithctl.evaluation.results import Column, Evaluation, Progress, Record, Table, Tell, untold
from sithctl.evaluation.seen import Seen, see, unit, with_words
from sithctl.kinds import Array, CaptionedImage
from sithctl.models import Encoder
from sithctl.models.locate import Named

if TYPE_CHECKING:
    from sithctl.sources.images import Images

DEPTHS = (1, 5, 10)
SAFE_FIRST = "safe first"
FIGURE = "share"


def retrieval(
    model: Named | Encoder,
    images: Images,
    *,
    unsafe: Images | None = None,
    against: Named | Encoder | None = None,
    max_drop: float | None = None,
    seed: int = 0,
    progress: Tell = untold,
) -> Evaluation:
    """How often the right answer is among the first 1, 5 and 10.

    A caption that occurs several times has several right pictures, and a picture with such a
    caption several right texts: any of them counts. Ties count against the right answer.

    Args:
        model: measured.
        images: a source opened with captions wanted.
        unsafe: another, whose row i is the unsafe counterpart of row i of ``images``.
        against: a base that sees the same pictures in its own way.
        max_drop: of any figure against the base.
        seed: of the bootstrap.
        progress: called with (pictures done, pictures in all or 0).

    Raises:
        InputError: a model without a text tower; pairs of unequal number.
        UsageError: ``max_drop`` without ``against``.
    """
    if max_drop is not None and against is None:
        raise UsageError("a drop from what", None, "name the model to compare with by --against")
    sources = [images] if unsafe is None else [images, unsafe]
    _check_counts([s.count for s in sources], sources)
    encoders = with_words(model, against)
    pairs = _see(sources, encoders, progress)
    found = [_searched(_side(e, i, pairs)) for i, e in enumerate(encoders)]
    records = [
        {**setting, "figure": name, **shares([answers[j][name] for answers in found], FIGURE, seed)}
        for j, setting in enumerate(_settings(unsafe is not None, len(pairs[0].captions)))
        for name in found[0][j]
    ]
    names = [encoder.location.name for encoder in encoders]
    header: Record = {"model": names[0], "data": images.name}
    header |= {"unsafe": unsafe.name} if unsafe is not None else {}
    header["pictures"] = len(pairs[0].captions)
    if len(names) > 1:
        base = [base_alone(record, FIGURE) for record in records]
        header["against"] = {"model": names[1], "retrieval": base}
    return Evaluation(
        "retrieval",
        header,
        (_table(records, images.name, *names),),
        _notes(pairs, unsafe is not None),
        fallen(((f"{r['setting']} {r['figure']}", r) for r in records), max_drop),
    )


def _see(sources: Sequence[Images], encoders: Sequence[Encoder], tell: Tell) -> list[Seen]:
    """Both sides; of pairs no picture may be left out."""
    counts = [source.count for source in sources]
    bar = Progress(tell, sum(counts) if all(counts) else 0)
    seen = []
    for source in sources:
        before = bar.done

        def step(done: int, _: int, before: int = before) -> None:
            bar.step(before + done - bar.done)

        def whole(_: CaptionedImage, source: Images = source) -> None:
            if len(sources) > 1 and source.skipped:
                raise _unpaired(source)

        seen.append(see(source, encoders, check=whole, progress=step))
        if len(sources) > 1 and source.skipped:
            raise _unpaired(source)
    _check_counts([len(s.captions) for s in seen], sources)
    return seen


def _unpaired(source: Images) -> InputError:
    name, reason = source.left_out[0]
    what = f"the image {name} cannot be read ({reason})"
    return InputError(what, source.name, "leave its row out of both --data and --unsafe")


def _check_counts(counts: Sequence[int], sources: Sequence[Images]) -> None:
    """Refuse pairs of unequal number, as far as the numbers are known."""
    if all(counts) and len(set(counts)) > 1:
        what = f"{counts[0]} safe images and {counts[1]} unsafe ones are no pairs"
        raise InputError(what, sources[1].name, "row i of --unsafe belongs to row i of --data")


@dataclass(frozen=True)
class _Side:
    """One model's features of texts and pictures, and which of them mean the same.

    Attributes:
        texts, pictures: (sides, n, features) of norm 1; the safe ones first.
        said: (sides, n) int64, a number for every caption that differs.
    """

    texts: Tensor
    pictures: Tensor
    said: Array


def _side(encoder: Encoder, i: int, seen: Sequence[Seen]) -> _Side:
    numbers: dict[str, int] = {}
    said = [[numbers.setdefault(c, len(numbers)) for c in s.captions] for s in seen]
    rows = unit(encoder.encode_text(list(numbers)), encoder)
    texts = torch.stack([rows[torch.tensor(row)] for row in said])
    return _Side(texts, torch.stack([s.features[i] for s in seen]), np.array(said))


def _settings(unsafe: bool, n: int) -> list[Record]:
    """What is looked for, and where; in the order of ``_searches``."""
    safe = [("T→V", "texts", "pictures", n), ("V→T", "pictures", "texts", n)]
    union = [
        ("T→V∪V*", "safe texts", "all pictures", 2 * n),
        ("V→T∪T*", "safe pictures", "all texts", 2 * n),
        ("T*→V∪V*", "unsafe texts", "all pictures", 2 * n),
        ("V*→T∪T*", "unsafe pictures", "all texts", 2 * n),
    ]
    return [
        {"setting": name, "queries": queries, "candidates": where, "among": among}
        for name, queries, where, among in (safe + union if unsafe else safe)
    ]


def _searches(side: _Side) -> Iterator[Found]:
    """Each setting's answers; a candidate's answer to a text is that text, whoever said it."""
    (T, *Tx), (V, *Vx), (said, *unsafe) = side.texts, side.pictures, side.said
    yield search(T, said, V, said)
    yield search(V, said, T, said)
    if not unsafe:
        return
    n = len(said)
    safe = np.arange(2 * n) < n
    nobody = np.full(n, NEVER)
    texts, pictures = torch.cat([T, *Tx]), torch.cat([V, *Vx])
    both = np.concatenate([said, *unsafe])
    yield search(T, said, pictures, np.concatenate([said, nobody]), safe)
    yield search(V, said, texts, both, safe)
    yield search(Tx[0], unsafe[0], pictures, np.concatenate([unsafe[0], nobody]), safe)
    yield search(Vx[0], said, texts, both, safe)


def _searched(side: _Side) -> list[dict[str, Array]]:
    """Of each setting, (queries,) whether each was answered, by figure."""
    answers = []
    for i, found in enumerate(_searches(side)):
        figures = {f"recall@{depth}": found.ranks < depth for depth in DEPTHS}
        answers.append(figures | ({SAFE_FIRST: found.safe} if i > 1 else {}))
    return answers


def _table(records: list[Record], data: str, model: str, base: str | None = None) -> Table:
    shown = (
        Column("setting", "setting", "text"),
        Column("figure", "figure", "text"),
        *columns(FIGURE, FIGURE, model, base),
    )
    return Table("retrieval", f"{model} on {data} · retrieval", shown, records)


def _notes(seen: Sequence[Seen], unsafe: bool) -> tuple[str, ...]:
    notes = ["T→V: pictures found by texts; V→T: texts by pictures"]
    if unsafe:
        notes.append(
            "T, V: safe ones; T*, V*: unsafe ones, whose right answer is the safe one of the pair; "
            "safe first: the first answer is a safe one, whichever"
        )
    captions = seen[0].captions
    repeated = len(captions) - len(set(captions))
    if repeated:
        notes.append(
            f"{repeated} of {len(captions)} captions are repetitions: any picture of the same "
            "caption is right"
        )
    return tuple(notes)
