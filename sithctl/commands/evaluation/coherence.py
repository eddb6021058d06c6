"""``sithctl eval coherence``: whether an explanation's concepts belong together."""

from __future__ import annotations

from typing import Annotated

import typer

from sithctl.commands import completion
from sithctl.commands.common import source_or_pipe
from sithctl.commands.evaluation.fidelity import CodesArg
from sithctl.commands.evaluation.showing import EvalSeedOpt, Format, FormatOpt, check_report, show
from sithctl.commands.options import ForceOpt, OutOpt

ScoresOpt = Annotated[
    str | None,
    typer.Option(
        "--scores",
        help="A judge's scores of these codes, as CSV.",
        autocompletion=completion.scores,
    ),
]
DrawsOpt = Annotated[
    int, typer.Option("--draws", min=1, help="Random explanations for each, for chance.")
]


def coherence(
    context: typer.Context,
    codes: CodesArg = None,
    scores: ScoresOpt = None,
    draws: DrawsOpt = 20,
    seed: EvalSeedOpt = 0,
    format: FormatOpt = Format.table,  # noqa: A002 (the option's name)
    output: OutOpt = None,
    force: ForceOpt = False,
) -> None:
    """Measure whether the concepts of an explanation belong together, beside random concepts.

    The mean cosine of its pairs of concepts in the pool's embedding, plain and weighted by their
    coefficients; where the pool knows which factors a concept names, the share of the weight on one
    factor and on one of its values; and a judge's score where --scores has one.

    Example: sithctl eval coherence codes.h5
    """
    from sithctl.artifacts import load
    from sithctl.artifacts.scores import read_scores
    from sithctl.errors import UsageError
    from sithctl.evaluation.coherence import coherence as task
    from sithctl.kinds import Codes
    from sithctl.views.console import output as console

    source = source_or_pipe(codes, context)
    if source == scores == "-":
        raise UsageError("standard input is both codes and scores", None, "name one as a file")
    check_report(output, force)
    found = load(source, Codes)
    judged = None if scores is None else read_scores(scores)
    with console.progress("drawing concepts") as tell:
        measured = task(found, scores=judged, draws=draws, seed=seed, progress=tell)
    show(measured, format, output)
