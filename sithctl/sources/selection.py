"""Which concepts of the sources stay in the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sithctl.errors import InputError
from sithctl.kinds.base import digest_of
from sithctl.sources.concepts import plain


@dataclass(frozen=True)
class Selection:
    """What is left out.

    Attributes:
        exclude: concepts, compared whatever their case.
        min_words: fewer are left out.
        max_words: more are left out.

    >>> Selection(exclude=["OCEAN"], max_words=2).of(["ocean", "red ring", "a thin red ring"])
    ['red ring']
    """

    exclude: Sequence[str] = ()
    min_words: int | None = None
    max_words: int | None = None

    def of(self, concepts: Sequence[str]) -> list[str]:
        """The concepts that stay, in their order.

        Raises:
            InputError: none does.
        """
        unwanted = {_caseless(concept) for concept in self.exclude}
        least, most = self.min_words or 0, self.max_words or float("inf")
        kept = [
            concept
            for concept in concepts
            if _caseless(concept) not in unwanted and least <= len(concept.split()) <= most
        ]
        if not kept:
            raise InputError(
                f"no concept is left of {len(concepts)}",
                None,
                "loosen --exclude, --min-words or --max-words",
            )
        return kept

    def document(self) -> dict[str, Any]:
        """What was asked for, for history; empty where nothing was."""
        unwanted = sorted({_caseless(concept) for concept in self.exclude})
        asked = {
            "exclude": digest_of({}, {"concepts": unwanted}) if unwanted else None,
            "min_words": self.min_words,
            "max_words": self.max_words,
        }
        return {name: value for name, value in asked.items() if value is not None}


def _caseless(concept: str) -> str:
    return plain(plain(concept).casefold())  # folding case can take a composed letter apart
