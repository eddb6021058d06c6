"""``explain --format html``: a report, of one model's codes or of two side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sithctl.commands.common import deliver
from sithctl.errors import InputError, UsageError

if TYPE_CHECKING:
    from sithctl.commands.codes import Source
    from sithctl.kinds import Codes
    from sithctl.stages.choice import Choice
    from sithctl.stages.explain import Explanation

Other = tuple[str, "Codes"]  # the file to compare with, and what is in it


def other_codes(compare: str | None, *, is_report: bool) -> Other | None:
    """The codes to compare with, before any work is done for the first ones.

    Raises:
        UsageError: another format, which has no place for them.
    """
    if compare is None:
        return None
    if not is_report:
        raise UsageError("--compare is the report's", None, "add --format html -o report.html")
    from sithctl.artifacts import load
    from sithctl.kinds import Codes

    return compare, load(compare, Codes)


def write_report(
    source: Source,
    rows: Sequence[Explanation],
    other: Other | None,
    choice: Choice,
    target: str | None,
) -> None:
    """Write the report of ``rows``, and of the other codes chosen from as they were.

    Raises:
        InputError: the two have no layer with as many heads in common.
    """
    from sithctl.stages.choice import chosen
    from sithctl.views.report import Shown, document, page

    found = [source.codes]
    sides = [Shown(_name(source.file), found, rows)]
    if other is not None:
        path, codes = other
        _check_comparable(found, codes, path)
        sides.append(Shown(_name(path), [codes], chosen(codes, choice)))
    deliver(page(document(sides)), target)


def _name(source: str | None) -> str | None:
    return None if source in (None, "-") else Path(source).name


def _check_comparable(found: Sequence[Codes], codes: Codes, path: str) -> None:
    from sithctl.stages.summary import shared_layers

    if not shared_layers(found, [codes]):
        theirs = f"those have {_shape([codes])}, these {_shape(found)}"
        todo = "compare codes of models of one shape, and of the same layers"
        raise InputError(f"no layer to set beside: {theirs}", path, todo)


def _shape(side: Sequence[Codes]) -> str:
    layers = {
        n: len(values.singular_values) for codes in side for n, values in codes.layers.items()
    }
    heads = sorted(set(layers.values()))
    return f"layers {', '.join(map(str, sorted(layers)))} of {'/'.join(map(str, heads))} heads"
