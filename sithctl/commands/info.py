"""``sithctl info``: what a file is and how it came to be."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from sithctl.commands import completion
from sithctl.commands.common import command, source_or_pipe
from sithctl.errors import CheckFailed

FileArg = Annotated[
    str | None,
    typer.Argument(
        help="Any file that sithctl wrote; - is a pipe.",
        autocompletion=completion.made,
    ),
]


class Format(StrEnum):
    table = "table"
    json = "json"


FormatOpt = Annotated[Format, typer.Option("--format", help="Table for people, json for data.")]
CheckOpt = Annotated[
    bool, typer.Option("--check", help="Compute the content's digest again; exit 4 if it differs.")
]


@command
def info(
    context: typer.Context,
    file: FileArg = None,
    format: FormatOpt = Format.table,  # noqa: A002 (the option's name)
    check: CheckOpt = False,
) -> None:
    """Say what a file holds: kind, model, shapes, and the stages it came through.

    Example: sithctl info codes.h5
    """
    import json

    from sithctl.artifacts.containers import read, shapes
    from sithctl.artifacts.store import intact, shown_name
    from sithctl.artifacts.streams import readable
    from sithctl.views.console import output
    from sithctl.views.info import describe

    source = source_or_pipe(file, context)
    with readable(source) as path:
        document, _ = read(path, shown_name(source), only_document=True)
        document["arrays"] = shapes(path)
        whole = intact(path) if check else None
    if format is Format.json:
        output.text(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    else:
        output.table(describe(document))
    if whole is False:
        raise CheckFailed(
            "the content is not what was written", shown_name(source), "make it again"
        )
    if whole:
        output.note("the content is what was written")
