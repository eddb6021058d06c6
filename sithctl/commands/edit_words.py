"""Changes by concept: what ``--suppress`` and ``--amplify`` of an edit choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sithctl.commands.near_words import note_by_similarity_alone
from sithctl.errors import UsageError

if TYPE_CHECKING:
    from sithctl.kinds import Change, Codes
    from sithctl.stages.similarity import Encode

USUAL = {"suppress": 0.0, "amplify": 2.0}


def check_words(given: dict[str, Any]) -> None:
    """Refuse what contradicts itself.

    Raises:
        UsageError: a phrase to suppress and to amplify, or a factor that would make more of what is
            to be suppressed.
    """
    from sithctl.stages.similarity import phrases_in

    if not given["suppress"]:
        return
    if given["factor"] is not None and given["factor"] > 1:  # below −1 it turns: the paper's −2
        shown = f"--factor {given['factor']:g}"
        raise UsageError("--suppress makes less", shown, "give --amplify")
    more = phrases_in(",".join(given["amplify"])) if given["amplify"] else []
    less = {phrase.casefold() for phrase in phrases_in(",".join(given["suppress"]))}
    both = [phrase for phrase in more if phrase.casefold() in less]
    if both:
        raise UsageError("to suppress and to amplify at once", ", ".join(both), "choose one")


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
