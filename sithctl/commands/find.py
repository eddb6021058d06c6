"""``sithctl find``: which vectors, of all layers and heads, are about some words."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sithctl.commands.codes import CodesArg, Source, codes_asked_for
from sithctl.commands.common import command, deliver, format_by_suffix
from sithctl.commands.near_words import note_by_similarity_alone, note_unnamed
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
    Tower,
    TowerOpt,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sithctl.kinds import Codes, Match


class Format(StrEnum):
    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    tsv = "tsv"
    markdown = "markdown"


WordsArg = Annotated[str, typer.Argument(help='What to look for: "red, crimson", "in the ocean".')]
SimilarOpt = Annotated[
    bool, typer.Option("--similar", help="By the model's text tower, not by the words themselves.")
]
LeastOpt = Annotated[
    float | None,
    typer.Option(
        "--threshold", min=0.0, max=1.0, help="The least weight; with --similar 0.3 unless given."
    ),
]
TopOpt = Annotated[
    int | None, typer.Option("--top", min=1, help="So many at most; a table has 20 unless told.")
]
FormatOpt = Annotated[
    Format,
    typer.Option("--format", help="Table for people, others for data; else what -o's suffix says."),
]

TOP_OF_TABLE = 20


@command
def find(
    context: typer.Context,
    words: WordsArg,
    codes: CodesArg = None,
    similar: SimilarOpt = False,
    threshold: LeastOpt = None,
    layer: LayerOpt = None,
    head: HeadOpt = None,
    top: TopOpt = None,
    min_grade: MinGradeOpt = None,
    format: FormatOpt = Format.table,  # noqa: A002 (the option's name)
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
    """Find the vectors, of all layers and heads, that are about some words.

    Words match whole words of a concept, whatever their case; of several between commas any one
    will do. An explanation's weight is the share of its coefficients on concepts that match.

    With --similar a concept counts as much as the model's text tower finds it like the nearest of
    the words, and the weight is their mean: what `sithctl edit --suppress` goes by. Beside CODES,
    --model then names another model to compare by; none goes by the pool's own embeddings.

    Vectors are named as `sithctl edit --set` takes them: layer.head.vector.

    Example: sithctl find "red, crimson"
    """
    from sithctl.artifacts.streams import check_target
    from sithctl.stages.find import find as stage
    from sithctl.stages.similarity import phrases_in
    from sithctl.views import found as view
    from sithctl.views.text import subject

    format = format_by_suffix(context, Format)  # noqa: A001
    phrases = phrases_in(words)
    if output not in (None, "-"):
        check_target(output, force)
    source = codes_asked_for(context, model_is_else=similar)
    encode, by = _comparing(source, similar, model)
    found = stage(
        source.codes,
        phrases,
        similar=similar,
        encode=encode,
        threshold=threshold,
        layer=layer,
        head=head,
        min_grade=min_grade and min_grade.value,
    )
    header = {"model": source.codes.model.name, "phrases": phrases, "by": by}
    title = view.title(subject(source.codes), phrases, len(found))
    _show(found, title, header, format, output, top)
    _note_missing(source.codes, found, phrases, similar)


def _comparing(source: Source, similar: bool, model: str | None) -> tuple[Any, str]:
    """The text tower to compare by, and what is said of it."""
    if not similar:
        return None, "words"
    from sithctl.commands.text_tower import text_tower
    from sithctl.views.console import output

    name, encode = text_tower(model, source.model)
    if encode is None:
        output.note("no text tower: compared with the concepts that name the words")
    return encode, "the pool's embeddings" if encode is None else f"the text tower of {name}"


def _show(
    found: Sequence[Match],
    title: str,
    header: dict[str, Any],
    format: Format,  # noqa: A002
    target: str | None,
    top: int | None,
) -> None:
    from sithctl.views import found as view
    from sithctl.views.console import output

    if format is Format.table and target in (None, "-"):
        shown = found[: top or TOP_OF_TABLE]
        if shown:
            output.table(view.table(shown, title, output.width))
        hidden = 0 if top else len(found) - len(shown)
        for note in view.footnotes(shown, hidden, len(found)):
            output.note(note)
        return
    rows = found[:top]
    text = {
        Format.table: lambda: view.plain_text(rows, title),
        Format.json: lambda: view.as_json(rows, header),
        Format.jsonl: lambda: view.as_jsonl(rows),
        Format.csv: lambda: view.as_csv(rows),
        Format.tsv: lambda: view.as_csv(rows, "\t"),
        Format.markdown: lambda: view.as_markdown(rows),
    }[format]()
    deliver(text, target)


def _note_missing(
    codes: Codes, found: Sequence[Match], phrases: Sequence[str], similar: bool
) -> None:
    """Say which of the words nobody says, and what may have been meant."""
    from sithctl.views.console import output

    if similar:
        if found:
            note_by_similarity_alone(codes, phrases)
        else:
            output.note("no explanation is like that: lower --threshold, or choose other words")
        return
    unknown = note_unnamed(codes, phrases, "no concept of these explanations names")
    if len(unknown) == len(phrases):
        output.note("--similar finds what is like the words, too")
    elif not found:
        output.note("nothing found: lower --threshold, or look in other layers and heads")
