"""``sithctl explain``: what heads mean, as a table, as data, as a report, or beside another's."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sithctl.commands import completion
from sithctl.commands.beside import show_beside
from sithctl.commands.codes import CodesArg, codes_asked_for, load_codes
from sithctl.commands.common import command, format_by_suffix
from sithctl.commands.explanations import (
    Format,
    check_ways,
    show,
    usual,
    write_figure,
    write_thumbnails,
)
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


class Sort(StrEnum):
    sigma = "sigma"
    fidelity = "fidelity"
    concept = "concept"


FormatOpt = Annotated[
    Format,
    typer.Option("--format", help="Table for people, others for data; else what -o's suffix says."),
]
SortOpt = Annotated[
    Sort | None,
    typer.Option(
        "--sort", help="Of all heads together: the largest σ, the best fidelity, or by name."
    ),
]
GrepOpt = Annotated[
    str | None,
    typer.Option("--grep", help="Those with a concept that matches a regular expression."),
]
BesideOpt = Annotated[
    str | None,
    typer.Option(
        "--beside",
        help="Other codes of the same vectors, to set beside these.",
        autocompletion=completion.codes,
    ),
]
FigureOpt = Annotated[
    Path | None,
    typer.Option("--figure", help="An .svg or .png: one head's spectrum, or a map of several."),
]
ThumbnailsOpt = Annotated[
    Path | None,
    typer.Option("--thumbnails", help="A folder to write the JPEGs of the images shown into."),
]
CompareOpt = Annotated[
    str | None,
    typer.Option(
        "--compare",
        help="Other codes, to set beside these in the report: --format html.",
        autocompletion=completion.codes,
    ),
]


@command
def explain(
    context: typer.Context,
    codes: CodesArg = None,
    layer: LayerOpt = None,
    head: HeadOpt = None,
    sv: SvOpt = None,
    top: TopOpt = None,
    min_grade: MinGradeOpt = None,
    sort: SortOpt = None,
    grep: GrepOpt = None,
    format: FormatOpt = Format.table,  # noqa: A002 (the option's name)
    beside: BesideOpt = None,
    compare: CompareOpt = None,
    figure: FigureOpt = None,
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

    --sort puts the vectors of all heads in one list, and --top then counts in that. --grep takes a
    regular expression, for which case matters only where it has capitals. --beside sets two files
    of codes of the same vectors side by side: right and left ones, two pools, two methods.

    unisith-json is UniSITH's own layout, which has one sign a vector: the plus pole; the minus pole
    stands apart in each vector's "minus".

    html is a report in one file, for a browser: a map of the heads, their vectors, a search; as in
    `sithctl explain -o report.html`.

    Example: sithctl explain --layer 5 --head 2
    """
    from sithctl.artifacts.streams import check_target
    from sithctl.commands.report import other_codes, write_report
    from sithctl.stages.choice import Choice, chosen, parse_pattern

    format = format_by_suffix(context, Format)  # noqa: A001
    check_ways(context)
    pattern = None if grep is None else parse_pattern(grep)
    if output not in (None, "-"):
        check_target(output, force)
    other = other_codes(compare, is_report=format is Format.html)
    second = None if beside is None else load_codes(beside)
    choice = Choice(
        layer, head, sv, top, min_grade and min_grade.value, pattern, sort and sort.value
    )
    source = codes_asked_for(context)
    if beside is not None and second is not None:
        show_beside(source, (beside, second), choice, format, output)
        return
    rows = chosen(source.codes, usual(source.codes, choice, format))
    write_thumbnails(rows, thumbnails, force)
    write_figure(source.codes, choice, figure)
    if format is Format.html:
        write_report(source, rows, other, choice, output)
    else:
        show(source.codes, rows, choice, format, output)
