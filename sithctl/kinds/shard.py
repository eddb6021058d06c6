"""Parts of a whole: blocks of work, and shards that several machines make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from sithctl.kinds.base import Artefact, Column

Columns = dict[str, Column]


@dataclass(frozen=True, eq=False)
class Block:
    """What one block of work gave.

    Attributes:
        number: its place in the whole, from 0.
        said: what its inputs say of themselves without being worked on, so that it is seen when
            they have changed; empty where the recipe says it all.
        columns: its result; None where it was not wanted.
    """

    number: int
    said: str
    columns: Columns | None


@dataclass(frozen=True)
class Shard:
    """Which part of a whole an artefact is.

    Attributes:
        number: which, from 1.
        of: how many there are.
        run: a digest of everything that the parts of one whole have in common.
        blocks: how many blocks the whole has; a part has every ``of``-th.
    """

    number: int
    of: int
    run: str
    blocks: int

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        shard = cls(**{field.name: document[field.name] for field in fields(cls)})
        if not 1 <= shard.number <= shard.of or shard.blocks < 0:
            raise ValueError(f"shard {shard.number} of {shard.of}")
        return shard

    @property
    def numbers(self) -> range:
        """The numbers of its blocks."""
        return range(self.number - 1, self.blocks, self.of)


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a whole, and what it brings to be joined with the others.

    Attributes:
        artefact: of the part's own rows.
        seams: columns that the whole does not have, such as the rows of each block.
        name: of its file, for errors.
    """

    artefact: Artefact
    shard: Shard
    seams: Columns
    name: str = ""
