"""What ``explain`` shows of codes: a table, data, a report, or two explanations side by side."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sithctl.commands.common import deliver
from sithctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sithctl.kinds import Codes
    from sithctl.stages.choice import Choice
    from sithctl.stages.explain import Explanation


class Format(StrEnum):
    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    tsv = "tsv"
    markdown = "markdown"
    unisith = "unisith-json"
    html = "html"


TOP_OF_ONE, TOP_OF_MANY = 5, 2  # vectors a head in a table, unless told
TOP_IN_ORDER = 20  # vectors of a table that is sorted
FIGURES = (".svg", ".png")
BESIDE = (Format.table, Format.json)


def check_ways(context: typer.Context) -> None:
    """Refuse what would be passed over in silence.

    Raises:
        UsageError: options that do not go together.
    """
    given = context.params
    beside, form = given["beside"], given["format"]
    if form is Format.html and given["sort"] is not None:
        raise UsageError("--sort does not go with html", None, "the report sorts in the browser")
    _check_figure(given["figure"], given["force"], given["output"])
    if beside is None:
        return
    if form not in BESIDE:
        formats = " or ".join(BESIDE)
        raise UsageError(f"--beside does not go with {form}", None, f"--format {formats}")
    for name in ("thumbnails", "figure"):
        if given[name] is not None:
            raise UsageError(f"--beside does not go with --{name}", None, f"leave out --{name}")
    if beside == given["codes"] == "-":
        raise UsageError("standard input is both codes", None, "name one as a file")


def _check_figure(file: Path | None, force: bool, output: str | None) -> None:
    from sithctl.artifacts.streams import check_target

    if file is None:
        return
    if file.suffix.lower() not in FIGURES:
        named = file.with_suffix(".svg") if file.name.strip("-") else "head.svg"
        raise UsageError("a figure is an .svg or a .png", file, f"--figure {named}")
    if output is not None and file.resolve() == Path(output).resolve():
        raise UsageError("--figure and -o are one file", file, "leave out -o, or name another")
    check_target(file, force)


def usual(codes: Codes, choice: Choice, format: Format) -> Choice:  # noqa: A002
    """The choice, of which a table has the first vectors alone unless something is said of that."""
    from sithctl.stages.explain import explain

    said = (choice.top, choice.sv, choice.min_grade, choice.pattern)
    if format is not Format.table or any(value is not None for value in said):
        return choice
    if choice.order is not None:
        return replace(choice, top=TOP_IN_ORDER)
    first = explain(codes, layer=choice.layer, head=choice.head, top=1)
    is_one = len({(e.layer, e.head) for e in first}) == 1
    return replace(choice, top=TOP_OF_ONE if is_one else TOP_OF_MANY)


def show(
    codes: Codes,
    rows: Sequence[Explanation],
    choice: Choice,
    format: Format,  # noqa: A002
    target: str | None,
) -> None:
    """Print or write explanations, as a table or as data.

    Args:
        rows: the explanations.
        choice: what was asked for, before ``usual``.
    """
    from sithctl.views.terminal import footnotes

    if format is Format.table and target in (None, "-"):
        _table(codes, rows, choice)
        return
    deliver(_text(codes, rows, choice, format), target)
    if format is Format.table:  # the other notes stand in the file
        tell_notes(footnotes([], *_hidden(codes, choice)), rows, choice)


def _table(codes: Codes, rows: Sequence[Explanation], choice: Choice) -> None:
    from sithctl.views.console import output
    from sithctl.views.terminal import footnotes, tables
    from sithctl.views.text import subject

    name, width = subject(codes), output.width
    if rows:
        output.table(tables(rows, name, width, order=choice.order, pattern=choice.pattern))
    tell_notes(footnotes(rows, *_hidden(codes, choice)), rows, choice)


def tell_notes(notes: Sequence[str], rows: Sequence[object], choice: Choice) -> None:
    """What a reader of a table should know, and why there may be none."""
    from sithctl.views.console import output

    if not rows and choice.pattern is not None:
        output.note(f"no explanation matches {choice.pattern.pattern}")
    for note in notes:
        output.note(note)


def _hidden(codes: Codes, choice: Choice) -> tuple[int, int]:
    """How many vectors a table leaves out, of how many; of one head, or of all in one order."""
    from sithctl.stages.choice import chosen, place

    top = usual(codes, choice, Format.table).top
    if top is None or choice.top is not None:
        return 0, 0
    if choice.order is None:
        total = max(values.singular_values.shape[1] for values in codes.layers.values())
    else:
        total = len({place(e) for e in chosen(codes, choice)})
    return max(0, total - top), total


def _text(
    codes: Codes,
    rows: Sequence[Explanation],
    choice: Choice,
    format: Format,  # noqa: A002
) -> str:
    from sithctl.views import records
    from sithctl.views.terminal import plain_text
    from sithctl.views.text import subject
    from sithctl.views.unisith import as_unisith

    name, order = subject(codes), choice.order
    return {
        Format.table: lambda: plain_text(rows, name, order=order),
        Format.json: lambda: records.as_json(rows, header(codes)),
        Format.jsonl: lambda: records.as_jsonl(rows),
        Format.csv: lambda: records.as_csv(rows),
        Format.tsv: lambda: records.as_csv(rows, "\t"),
        Format.markdown: lambda: records.as_markdown(rows, order),
        Format.unisith: lambda: as_unisith(rows),
    }[format]()


def header(codes: Codes) -> dict[str, Any]:
    """What a document says of codes beside what they explain."""
    return {
        "model": codes.model.name,
        # Sorted, as a file has them: fresh codes and those from the cache must read alike.
        "architecture": dict(sorted(codes.architecture.items())),
        "parameters": dict(sorted(codes.parameters.items())),
    }


def write_thumbnails(rows: Sequence[Explanation], folder: Path | None, force: bool) -> None:
    """The images that are shown as files, where a folder for them was named."""
    if folder is None:
        return
    from sithctl.views import thumbnails
    from sithctl.views.console import output

    count = thumbnails.write_thumbnails(rows, folder, force=force)
    output.note(f"{count} thumbnails in {folder}")


def write_figure(codes: Codes, choice: Choice, file: Path | None) -> None:
    """The spectrum of the head asked for, or a map of several, where a file for it was named."""
    if file is None:
        return
    from sithctl.artifacts.streams import writable
    from sithctl.stages.choice import chosen
    from sithctl.views.console import output
    from sithctl.views.portraits import portrait, title

    rows = chosen(codes, choice)
    if not rows:
        output.note(f"nothing to draw: {file} is not written")
        return
    made = portrait(codes, rows, file.suffix.lower()[1:])
    with writable(file) as path:
        path.write_bytes(made)
    output.note(f"{title(codes, rows)}: {file}")
