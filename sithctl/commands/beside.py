"""``explain --beside``: two explanations of the same vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sithctl.commands.common import deliver
from sithctl.commands.explanations import Format, tell_notes, usual

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sithctl.commands.codes import Source
    from sithctl.kinds import Codes
    from sithctl.stages.beside import Pair
    from sithctl.stages.choice import Choice


def show_beside(
    source: Source,
    other: tuple[str, Codes],
    choice: Choice,
    format: Format,  # noqa: A002
    target: str | None,
) -> None:
    """Print or write two explanations of the same vectors.

    Raises:
        InputError: they are not of the same vectors, or of no layer in common.
    """
    from sithctl.stages.beside import beside
    from sithctl.views import beside as view
    from sithctl.views.console import output
    from sithctl.views.text import subject

    path, codes = other
    few = usual(source.codes, choice, format)
    pairs = beside(source.codes, codes, few, path)
    both, name = view.sides((source.file, path), (source.codes, codes)), subject(codes)
    if format is Format.json:
        deliver(view.as_json(pairs, both, codes.model.name), target)
        return
    every = pairs if few == choice else beside(source.codes, codes, choice, path)
    hidden = _hidden(pairs, every, choice)
    if target not in (None, "-"):
        deliver(view.plain_text(pairs, both, name, order=choice.order), target)
        tell_notes(view.footnotes([], *hidden), pairs, choice)  # the others stand in the file
        return
    if pairs:
        width, order, pattern = output.width, choice.order, choice.pattern
        output.table(view.tables(pairs, both, name, width, order=order, pattern=pattern))
    tell_notes(view.footnotes(pairs, *hidden), pairs, choice)


def _hidden(pairs: Sequence[Pair], every: Sequence[Pair], choice: Choice) -> tuple[int, int]:
    """How many vectors are left out, of how many: of the longest head, or of all in one order."""
    from sithctl.stages.choice import place

    shown, there = ({place(pair.faces[0]) for pair in side} for side in (pairs, every))
    if choice.order is not None:
        return len(there) - len(shown), len(there)
    ranks = [len({sv for _, _, sv in side}) for side in (shown, there)]
    return ranks[1] - ranks[0], ranks[1]
