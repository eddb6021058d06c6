"""``sithctl eval fidelity``: how much of the vectors their explanations keep."""

from __future__ import annotations

from typing import Annotated

import typer

from sithctl.commands import completion
from sithctl.commands.common import source_or_pipe
from sithctl.commands.evaluation.showing import EvalSeedOpt, Format, FormatOpt, check_report, show
from sithctl.commands.options import DeviceOpt, ForceOpt, OutOpt, PoolOpt

CodesArg = Annotated[
    str | None,
    typer.Argument(
        help="Codes from `sithctl decompose`; - or nothing is a pipe.",
        autocompletion=completion.codes,
    ),
]
SpectraOpt = Annotated[
    str | None,
    typer.Option(
        "--spectra",
        help="What the codes were made from; bundled models bring theirs.",
        autocompletion=completion.tensors,
    ),
]
SamplesOpt = Annotated[
    int, typer.Option("--samples", min=1, help="Random residual directions that chance is made of.")
]


def fidelity(
    context: typer.Context,
    codes: CodesArg = None,
    pool: PoolOpt = None,
    spectra: SpectraOpt = None,
    samples: SamplesOpt = 300,
    seed: EvalSeedOpt = 0,
    device: DeviceOpt = "cpu",
    format: FormatOpt = Format.table,  # noqa: A002 (the option's name)
    output: OutOpt = None,
    force: ForceOpt = False,
) -> None:
    """Measure how much of singular vectors their explanations keep, beside chance.

    Two figures: feature, in the model's feature space; residual, the paper's, back in the residual
    stream, beside the ceiling that even a perfect explanation has there. Chance is what the same
    coder makes of random residual directions through the same read-out, and of the pool with its
    coordinates shuffled among concepts.

    Example: sithctl eval fidelity codes.h5 --pool pool.h5 --spectra spectra.safetensors
    """
    from sithctl.artifacts import load
    from sithctl.commands.decompose import load_pool
    from sithctl.evaluation.fidelity import fidelity as task
    from sithctl.kinds import Codes, Spectra
    from sithctl.views.console import output as console

    source = source_or_pipe(codes, context)
    check_report(output, force)
    found = load(source, Codes)
    made_from = None if spectra is None else load(spectra, Spectra)
    concepts = load_pool(pool, found)
    with console.progress("explaining chance") as tell:
        measured = task(
            found,
            concepts,
            spectra=made_from,
            samples=samples,
            seed=seed,
            device=device,
            progress=tell,
        )
    show(measured, format, output)
