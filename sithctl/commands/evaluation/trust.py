"""``sithctl eval trust``: a grade for every explanation."""

from __future__ import annotations

from typing import Annotated

import typer

from sithctl.commands import completion
from sithctl.commands.common import source_or_pipe
from sithctl.commands.evaluation.fidelity import CodesArg, SamplesOpt
from sithctl.commands.evaluation.showing import EvalSeedOpt, Format, FormatOpt, check_report, show
from sithctl.commands.options import (
    DeviceOpt,
    ForceOpt,
    HistoryDetail,
    HistoryOpt,
    PoolOpt,
)
from sithctl.errors import InputError, UsageError

SpectraOpt = Annotated[
    str | None,
    typer.Option(
        "--spectra",
        help="What the codes were made from; bundled models bring theirs.",
        autocompletion=completion.tensors,
    ),
]
CheckedMeanOpt = Annotated[
    str | None,
    typer.Option(
        "--mean",
        help="Checked against the mean that the codes carry, which is used.",
        autocompletion=completion.codes,
    ),
]
RepeatsOpt = Annotated[
    int, typer.Option("--repeats", min=2, help="Random halves of the pool to explain by again.")
]
GradedOpt = Annotated[
    str | None,
    typer.Option("--output", "-o", help="A copy of the codes with grades, for `explain`."),
]
ReportOpt = Annotated[
    str | None, typer.Option("--report", help="A file for the figures, not standard output.")
]


def trust(
    context: typer.Context,
    codes: CodesArg = None,
    spectra: SpectraOpt = None,
    pool: PoolOpt = None,
    mean: CheckedMeanOpt = None,
    repeats: RepeatsOpt = 10,
    samples: SamplesOpt = 300,
    seed: EvalSeedOpt = 0,
    device: DeviceOpt = "cpu",
    format: FormatOpt = Format.table,  # noqa: A002 (the option's name)
    report: ReportOpt = None,
    output: GradedOpt = None,
    force: ForceOpt = False,
    history: HistoryOpt = HistoryDetail.plain,
) -> None:
    """Grade every explanation from A to D by signs that need no truth, with reasons.

    The grade is that of its worst sign: a σ that cannot be told from its neighbour's (C at best);
    how much comes again from random halves of the pool (A from 75%, B from 50%, C from 25%); the
    percentile of its fidelity among random directions (A from 95%, B from 75%, C from 50%); and
    concepts that + and − share (B from 25% of the weight, D from 50%).

    -o is a copy of the codes that carries grades: `sithctl explain` shows them, and leaves out what
    is worse than its --min-grade.

    Example: sithctl eval trust codes.h5 --pool pool.h5 -o graded.h5
    """
    from sithctl.artifacts import load
    from sithctl.artifacts.streams import check_target
    from sithctl.commands.decompose import load_pool
    from sithctl.commands.writing import write
    from sithctl.evaluation.grading import grade
    from sithctl.evaluation.matching import spectra_at_hand
    from sithctl.evaluation.trust import report as told
    from sithctl.kinds import Codes, Mean, Spectra
    from sithctl.views.console import output as console

    source = source_or_pipe(codes, context)
    if output == "-" and report in (None, "-"):
        raise UsageError("both codes and figures on standard output", None, "give --report FILE")
    if output is not None:
        check_target(output, force)
    check_report(report, force)
    found = load(source, Codes)
    made_from = spectra_at_hand(found) if spectra is None else load(spectra, Spectra)
    if made_from is None:
        raise InputError(
            "the vectors are not at hand", found.model.name, "give --spectra FILE, from sithctl svd"
        )
    concepts = load_pool(pool, found)
    own = None if mean is None else load(mean, Mean)
    with console.progress("explaining again") as tell:
        trusted = grade(
            found,
            made_from,
            concepts,
            own,
            repeats=repeats,
            samples=samples,
            seed=seed,
            device=device,
            progress=tell,
        )
    if output is not None:
        write(trusted.codes, output, history)
    show(told(trusted), format, report)
