"""Words that no concept names: said, with what may have been meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sithctl.kinds import Codes


def note_by_similarity_alone(codes: Codes, phrases: Sequence[str]) -> None:
    """A text tower finds something like any word, a misspelt one too: say where it did."""
    note_unnamed(codes, phrases, "note: no concept names", ": chosen by similarity alone; ")


def note_unnamed(
    codes: Codes, phrases: Sequence[str], before: str, between: str = ": "
) -> list[str]:
    """A note for each phrase that no concept names; these phrases."""
    from sithctl.stages.find import suggestions, unnamed
    from sithctl.views.console import output

    unknown = unnamed(codes, phrases)
    for phrase in unknown:
        near = suggestions(codes, phrase)
        meant = f"did you mean {' or '.join(near)}?" if near else ""
        output.note(f"{before} {phrase}{between}{meant}".rstrip(":; "))
    return unknown
