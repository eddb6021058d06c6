"""The codes that are to be shown or searched: named, piped in, or made by the whole chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sithctl.commands import completion
from sithctl.commands.common import is_given, stdin_has_data
from sithctl.commands.instead import refuse_model
from sithctl.commands.options import named_model
from sithctl.errors import UsageError

if TYPE_CHECKING:
    from sithctl.kinds import Codes

CodesArg = Annotated[
    str | None,
    typer.Argument(
        help="Codes from `sithctl decompose`; - is a pipe; none: the whole chain.",
        autocompletion=completion.codes,
    ),
]

# Options that make codes; codes that are made already leave nothing for them to do.
MAKING = (
    "model",
    "tower",
    "pool",
    "mean",
    "rank",
    "method",
    "sparsity",
    "coherence",
    "side",
    "pole",
    "degenerate_gap",
)


@dataclass(frozen=True)
class Source:
    """Codes, and the model that they are of as a user would name it.

    Attributes:
        file: where they come from; None for a pipe and for the whole chain.
    """

    codes: Codes
    model: str | None
    file: str | None = None


def codes_asked_for(context: typer.Context, *, model_is_else: bool = False) -> Source:
    """The codes that CODES, a pipe or, without either, the options that make them mean.

    Args:
        context: of a command that has CODES, ``MAKING`` and ``layer``.
        model_is_else: ``--model`` has another use for codes that are made already.

    Raises:
        UsageError: options that make codes beside codes that are made.
    """
    given = context.params
    name = given["codes"]
    chain = any(given[option] for option in ("model", "pool", "mean"))
    codes = _given(name, chain=chain)
    if codes is None:
        return Source(_chain(given), named_model(given["model"]))
    making = [n for n in MAKING if is_given(context, n) and not (model_is_else and n == "model")]
    if making:
        where = "standard input" if name in (None, "-") else name
        options = ", ".join(f"--{n.replace('_', '-')}" for n in making)
        raise UsageError("the codes are made already", where, f"leave out {options}")
    return Source(codes, codes.model.name, None if name == "-" else name)


def _given(codes: str | None, *, chain: bool) -> Codes | None:
    """The codes named or piped in; None where the whole chain is wanted."""
    if codes is not None and codes != "-":
        return load_codes(codes)
    if codes == "-" or (not chain and stdin_has_data()):
        return _from_pipe(required=codes == "-")
    return None


def load_codes(source: str) -> Codes:
    """Codes of a file, or of standard input where that is ``-``."""
    from sithctl.artifacts import load
    from sithctl.kinds import Codes

    refuse_model(source)
    return load(source, Codes)


def _from_pipe(*, required: bool) -> Codes | None:
    """Codes from standard input; None where it is empty and need not be codes."""
    from sithctl.artifacts import load
    from sithctl.artifacts.streams import readable
    from sithctl.kinds import Codes
    from sithctl.views.console import output

    with readable("-") as path:
        if path.stat().st_size == 0 and not required:
            # What a stage before leaves that has failed; and what cron and some runners give.
            output.note("note: standard input is empty: not read, the whole chain is run")
            return None
        return load(path, Codes, shown="standard input")


def _chain(given: dict[str, Any]) -> Codes:
    """Codes of the layers asked for, every stage from the cache where it can be."""
    from sithctl.stages.explain import check_graded
    from sithctl.stages.options import Options

    model = named_model(given["model"])
    if given["min_grade"] is not None:  # before the whole chain is run for codes that have none
        check_graded(False, model)
    from sithctl.commands.chain import Chain
    from sithctl.stages.joining import joined

    options = Options(
        given["method"].value,
        given["sparsity"],
        given["coherence"],
        given["rank"],
        given["side"].value,
        given["pole"].value,
        given["degenerate_gap"],
    )
    chain = Chain(model, given["pool"], given["mean"], options, given["tower"].value)
    return joined(chain.codes(given["layer"]))
