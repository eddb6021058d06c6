"""Long work in numbered blocks: what is finished can be kept, shared out, and put together.

A block is one whole batch or several, and comes out the same whoever makes it, and when.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from sithctl.errors import UsageError
from sithctl.kinds import Array, Artefact
from sithctl.kinds.base import numbers, texts
from sithctl.kinds.shard import Block, Columns

Wanted = Callable[[int], bool]
T = TypeVar("T", bound=Artefact)
T_co = TypeVar("T_co", bound=Artefact, covariant=True)


class Job(Protocol[T_co]):
    """A stage whose work comes in blocks.

    Attributes:
        recipe: everything that changes the result, as far as it is known before the work begins;
            without the model's weights.
    """

    @property
    def recipe(self) -> dict[str, Any]: ...

    def blocks(self, wanted: Wanted) -> Iterator[Block]:
        """Every block in order; of those that are not wanted only what their inputs say."""

    def whole(self, blocks: Sequence[Block], *, part: bool = False) -> T_co:
        """The stage's result from all blocks, or, for a ``part``, from some."""

    def seams(self, blocks: Sequence[Block]) -> Columns:
        """What a part must bring, beside its result, to be joined with the others."""


def everything(_: int) -> bool:
    """Every block is wanted: what stages do unless told."""
    return True


def done_at_once(job: Job[T]) -> T:
    """A job's result, made here and now."""
    return job.whole(list(job.blocks(everything)))


def made(blocks: Sequence[Block]) -> list[Columns]:
    """The columns of the blocks that were wanted."""
    return [block.columns for block in blocks if block.columns is not None]


def rows_of(blocks: Sequence[Columns], name: str) -> Array:
    """A column of numbers, of all blocks that have rows."""
    parts = [numbers(columns[name]) for columns in blocks]
    filled = [part for part in parts if len(part)] or parts[:1]
    return np.concatenate(filled) if filled else np.zeros((0, 0), dtype=np.float32)


def texts_of(blocks: Sequence[Columns], name: str) -> list[str]:
    """A column of texts, of all blocks."""
    return [text for columns in blocks for text in texts(columns[name])]


def counts(blocks: Sequence[Columns], name: str) -> Array:
    """(blocks,) int64: how many rows of a column each block has."""
    return np.array([len(columns[name]) for columns in blocks], dtype=np.int64)


@dataclass(frozen=True)
class Share:
    """Every ``of``-th block, so that shares are alike however many blocks there are.

    Attributes:
        number: which share, from 1.
        of: how many there are.
    """

    number: int = 1
    of: int = 1

    def __contains__(self, block: int) -> bool:
        return block % self.of == self.number - 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """``3/16``, the third of sixteen.

        Raises:
            UsageError: it is not written so, or there is no such share.

        >>> Share.parse("3/16"), 18 in Share.parse("3/16")
        (Share(number=3, of=16), True)
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        number, of = map(int, match.groups()) if match else (0, 0)
        if not 1 <= number <= of:
            raise UsageError("no such shard", text, "write 3/16 for the third of sixteen")
        return cls(number, of)
