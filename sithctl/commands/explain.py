"""``sithctl explain``: codes as a table, JSON, CSV, Markdown, UniSITH's JSON or a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sithctl.commands.codes import CodesArg, codes_asked_for
from sithctl.commands.common import command, deliver
from sithctl.commands.options import (
    CoherenceOpt,
    ForceOpt,
    GapOpt,
    HeadOpt,
    LayerOpt,
    MeanOpt,
    Method,
    MethodOpt,
    MinGradeOpt,
    ModelOpt,
    OutOpt,
    Pole,
    PoleOpt,
    PoolOpt,
    RankOpt,
    Side,
    SideOpt,
    SparsityOpt,
    SvOpt,
    TopOpt,
    Tower,
    TowerOpt,
)

if TYPE_CHECKING:
    from sithctl.kinds import Codes
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


FormatOpt = Annotated[Format, typer.Option("--format", help="Table for people, others for data.")]
ThumbnailsOpt = Annotated[
    Path | None,
    typer.Option("--thumbnails", help="A folder to write the JPEGs of the images shown into."),
]
CompareOpt = Annotated[
    str | None,
    typer.Option(
        "--compare", help="Other codes, to set beside these in the report: --format html."
    ),
]

TOP_OF_ONE, TOP_OF_MANY = 5, 2  # vectors a head in a table, unless told


@command
def explain(
    context: typer.Context,
    codes: CodesArg = None,
    layer: LayerOpt = None,
    head: HeadOpt = None,
    sv: SvOpt = None,
    top: TopOpt = None,
    min_grade: MinGradeOpt = None,
    format: FormatOpt = Format.table,  # noqa: A002 (the option's name)
    compare: CompareOpt = None,
    thumbnails: ThumbnailsOpt = None,
    model: ModelOpt = None,
    tower: TowerOpt = Tower.vision,
    pool: PoolOpt = None,
    mean: MeanOpt = None,
    rank: RankOpt = None,
    method: MethodOpt = Method.comp,
    sparsity: SparsityOpt = 5,
    coherence: CoherenceOpt = 0.3,
    side: SideOpt = Side.right,
    pole: PoleOpt = Pole.both,
    degenerate_gap: GapOpt = 0.01,
    output: OutOpt = None,
    force: ForceOpt = False,
) -> None:
    """Show what heads mean: each singular vector's concepts, for both of its signs.

    With CODES, shows them, and their grades where `sithctl eval trust` has graded them. Without,
    runs the whole chain for --model (fold, svd, encode-pool, decompose) and keeps every stage's
    result in the cache.

    unisith-json is UniSITH's own layout, which has one sign a vector: the plus pole; the minus pole
    stands apart in each vector's "minus".

    html is a report in one file, for a browser: a map of the heads, their vectors, a search; as in
    `sithctl explain --format html -o report.html`.

    Example: sithctl explain --layer 5 --head 2
    """
    from sithctl.artifacts.streams import check_target
    from sithctl.commands.report import other_codes, write_report

    if output not in (None, "-"):
        check_target(output, force)
    save = partial(_thumbnails, thumbnails, force)
    grade = None if min_grade is None else min_grade.value
    beside = other_codes(compare, is_report=format is Format.html)
    chosen = {"layer": layer, "head": head, "sv": sv, "top": top, "min_grade": grade}
    source = codes_asked_for(context)
    report = partial(write_report, source=source.file, beside=beside, chosen=chosen, target=output)
    _show([source.codes], layer, head, sv, top, grade, format, output, save, report)


def _show(
    found: list[Codes],
    layer: str | None,
    head: str | None,
    sv: str | None,
    top: int | None,
    grade: str | None,
    format: Format,  # noqa: A002
    target: str | None,
    save: Callable[[Sequence[Explanation]], None],
    report: Callable[[Sequence[Codes], Sequence[Explanation]], None],
) -> None:
    from sithctl.stages.explain import explain as stage

    rank = max(values.singular_values.shape[1] for c in found for values in c.layers.values())
    is_table = format is Format.table
    shown = top
    if is_table and top is None and sv is None and grade is None:
        heads = {(e.layer, e.head) for c in found for e in stage(c, layer=layer, head=head, top=1)}
        shown = TOP_OF_ONE if len(heads) == 1 else TOP_OF_MANY
    rows = [
        e
        for c in found
        for e in stage(c, layer=layer, head=head, sv=sv, top=shown, min_grade=grade)
    ]
    save(rows)
    if format is Format.html:
        report(found, rows)
    elif is_table and target in (None, "-"):
        hidden = 0 if shown is None else max(0, rank - shown)
        _table(rows, found[0], hidden if top is None and sv is None else 0, rank)
    else:
        _data(rows, found[0], format, target)


def _thumbnails(folder: Path | None, force: bool, rows: Sequence[Explanation]) -> None:
    if folder is None:
        return
    from sithctl.views.console import output
    from sithctl.views.thumbnails import write_thumbnails

    count = write_thumbnails(rows, folder, force=force)
    output.note(f"{count} thumbnails in {folder}")


def _table(rows: Sequence[Explanation], codes: Codes, hidden: int, rank: int) -> None:
    from rich.console import Console

    from sithctl.views.console import output
    from sithctl.views.terminal import footnotes, tables

    output.table(tables(rows, codes.model.name or "codes", Console().width))
    for note in footnotes(rows, hidden, rank):
        output.note(note)


def _data(rows: Sequence[Explanation], codes: Codes, format: Format, target: str | None) -> None:  # noqa: A002
    from sithctl.views import records
    from sithctl.views.terminal import plain_text
    from sithctl.views.unisith import as_unisith

    header = {
        "model": codes.model.name,
        # Sorted, as a file has them: fresh codes and those from the cache must read alike.
        "architecture": dict(sorted(codes.architecture.items())),
        "parameters": dict(sorted(codes.parameters.items())),
    }
    text = {
        Format.table: lambda: plain_text(rows, codes.model.name or "codes"),
        Format.json: lambda: records.as_json(rows, header),
        Format.jsonl: lambda: records.as_jsonl(rows),
        Format.csv: lambda: records.as_csv(rows),
        Format.tsv: lambda: records.as_csv(rows, "\t"),
        Format.markdown: lambda: records.as_markdown(rows),
        Format.unisith: lambda: as_unisith(rows),
    }[format]()
    deliver(text, target)
