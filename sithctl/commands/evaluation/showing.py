"""What all of ``eval``'s tasks share: formats, and how what they found is told."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sithctl.errors import CheckFailed

if TYPE_CHECKING:
    from sithctl.evaluation.results import Evaluation


class Format(StrEnum):
    table = "table"
    json = "json"
    markdown = "markdown"


FormatOpt = Annotated[
    Format, typer.Option("--format", help="table for people, json for scripts, with all records.")
]
EvalSeedOpt = Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn at random.")]


def check_report(target: str | None, force: bool) -> None:
    """Refuse a report's target before any work is done for it; text may go to a terminal."""
    from sithctl.artifacts.streams import check_target

    if target not in (None, "-"):
        check_target(target, force)


def show(evaluation: Evaluation, format: Format, target: str | None) -> None:  # noqa: A002
    """Print an evaluation or write it to a file; then end with 4 where it failed.

    Raises:
        CheckFailed: something fell by more than was allowed.
    """
    from sithctl.artifacts.streams import writable
    from sithctl.views import evaluation as view
    from sithctl.views.console import output

    text = {
        Format.table: view.plain_text,
        Format.json: view.as_json,
        Format.markdown: view.as_markdown,
    }[format]
    if target not in (None, "-"):
        with writable(target) as path:
            path.write_text(text(evaluation), encoding="utf-8")
    elif format is Format.table:
        output.table(view.tables(evaluation, output.width))
    else:
        output.text(text(evaluation))
    if evaluation.failures:
        first, *rest = evaluation.failures
        more = f", and {len(rest)} more" if rest else ""
        raise CheckFailed(f"{first}{more}", None, "--max-drop says how much is allowed")
