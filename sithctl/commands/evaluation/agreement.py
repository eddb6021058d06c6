"""``sithctl eval agreement``: whether two explanations of the same vectors say the same."""

from __future__ import annotations

from typing import Annotated

import typer

from sithctl.commands import completion
from sithctl.commands.evaluation.showing import EvalSeedOpt, Format, FormatOpt, check_report, show
from sithctl.commands.options import ForceOpt, OutOpt

FirstArg = Annotated[
    str,
    typer.Argument(
        metavar="CODES",
        help="Codes; - is a pipe.",
        autocompletion=completion.codes,
    ),
]
SecondArg = Annotated[
    str,
    typer.Argument(
        metavar="OTHER",
        help="Other codes of the same vectors; - is a pipe.",
        autocompletion=completion.codes,
    ),
]
PermutationsOpt = Annotated[
    int, typer.Option("--permutations", min=1, help="Of OTHER among vectors, for chance.")
]


def agreement(
    codes: FirstArg,
    other: SecondArg,
    permutations: PermutationsOpt = 20,
    seed: EvalSeedOpt = 0,
    format: FormatOpt = Format.table,  # noqa: A002 (the option's name)
    output: OutOpt = None,
    force: ForceOpt = False,
) -> None:
    """Measure how far two explanations of the same singular vectors name the same concepts.

    Two λ, two pools, or your own codes and published ones that `decompose --import` took: Jaccard
    of the concepts, and the overlap of their coefficients as shares of their sum; plain means and
    those weighted by σ. Concepts are matched by label, and by their place where both codes come
    from one pool. Chance: OTHER's explanations put to other vectors.

    Example: sithctl decompose spectra.safetensors --pool pool.h5 --method mp -o other.h5

    Example: sithctl eval agreement codes.h5 other.h5
    """
    from sithctl.artifacts import load
    from sithctl.errors import UsageError
    from sithctl.evaluation.agreement import agreement as task
    from sithctl.kinds import Codes
    from sithctl.views.console import output as console

    if codes == other == "-":
        raise UsageError("standard input is both codes", None, "name one as a file")
    check_report(output, force)
    first, second = load(codes, Codes), load(other, Codes)
    with console.progress("comparing explanations") as tell:
        measured = task(first, second, permutations=permutations, seed=seed, progress=tell)
    show(measured, format, output)
