"""Changes by concept: what ``--suppress`` and ``--amplify`` of an edit choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sithctl.commands.near_words import note_by_similarity_alone

if TYPE_CHECKING:
    from sithctl.kinds import Change, Codes
    from sithctl.stages.similarity import Encode

USUAL = {"suppress": 0.0, "amplify": 2.0}


def from_words(given: dict[str, Any], codes: Codes, encode: Encode | None) -> list[Change]:
    """The changes that the words ask for, those to amplify last."""
    from sithctl.stages.relevance import by_words
    from sithctl.stages.similarity import phrases_in

    changes: list[Change] = []
    for name, usual in USUAL.items():
        if not given[name]:
            continue
        phrases = phrases_in(",".join(given[name]))
        factor = usual if given["factor"] is None else given["factor"]
        found = by_words(codes, phrases, factor, encode=encode, threshold=given["threshold"])
        changes += _at_most(given["max_vectors"], found)
        note_by_similarity_alone(codes, phrases)
    return changes


def _at_most(count: int | None, found: list[Change]) -> list[Change]:
    """The most similar, which stand first."""
    from sithctl.views.console import output

    kept = found[:count]
    if len(kept) < len(found):
        reach = f"{len(found)} vectors that reach the threshold"
        output.note(f"note: {len(kept)} of {reach}: --max-vectors")
    return kept
