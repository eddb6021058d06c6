"""``sithctl eval drift``: what has changed between two models, head by head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sithctl.commands import completion
from sithctl.commands.evaluation.showing import EvalSeedOpt, Format, FormatOpt, check_report, show
from sithctl.commands.options import ForceOpt, LayersOpt, OutOpt, Tower, TowerOpt

if TYPE_CHECKING:
    from sithctl.kinds import Heads

BaseArg = Annotated[
    str,
    typer.Argument(
        metavar="HEADS0",
        help="The base: heads from `sithctl fold`, or a MODEL.",
        autocompletion=completion.models,
    ),
]
TunedArg = Annotated[
    str,
    typer.Argument(
        metavar="HEADS1",
        help="The tuned: heads, a MODEL, or a LoRA adapter's folder.",
        autocompletion=completion.models,
    ),
]
RankOpt = Annotated[
    int | None,
    typer.Option(
        "--rank", min=1, help="Leading vectors compared; the fewest with 90% of σ² if not given."
    ),
]


def drift(
    base: BaseArg,
    tuned: TunedArg,
    layers: LayersOpt = None,
    tower: TowerOpt = Tower.vision,
    rank: RankOpt = None,
    format: FormatOpt = Format.table,  # noqa: A002 (the option's name)
    output: OutOpt = None,
    force: ForceOpt = False,
    seed: EvalSeedOpt = 0,
) -> None:
    """Compare two models' heads: how much was reweighted, how much turned.

    The change of each value-output matrix is put into the base's singular bases: the diagonal is
    reweighting, the rest inside them rotation, what lies outside is new directions. The shares add
    up to 1, and stand beside what random changes of the weights would give.

    Principal angles are those of the subspaces that the leading vectors span: left ones, what a
    head reads for, and right ones, what it writes. JSON has all of them, and for each leading
    vector of the base its match in the other model, their cosines and the ratio of their σ.

    Example: sithctl eval drift scenes edited --layers 4-5
    """
    from sithctl.evaluation.drift import drift as task
    from sithctl.views.console import output as console

    check_report(output, force)
    with console.working("folding heads"):
        # Heads in a file are float32 unless told: two of one model must be equal to the bit.
        dtype = "float32" if _is_file(base) or _is_file(tuned) else "float64"
        heads = [_heads(source, layers, tower.value, dtype) for source in (base, tuned)]
    with console.progress("comparing heads") as tell:
        found = task(*heads, layers=layers, rank=rank, seed=seed, progress=tell)
    show(found, format, output)


def _heads(source: str, layers: str | None, tower: str, dtype: str) -> Heads:
    from sithctl.artifacts import load
    from sithctl.kinds import Heads
    from sithctl.stages.fold import fold

    if _is_file(source):
        return load(source, Heads)
    return fold(source, layers, tower=tower, dtype=dtype)


def _is_file(source: str) -> bool:
    """Whether heads are named, not a model: a pipe, or a file that says that it is an artefact."""
    if source == "-":
        return True
    path = Path(source)
    if not path.is_file() or path.suffix != ".safetensors":
        return path.is_file() and path.suffix in {".h5", ".hdf5"}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return "sithctl" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False
