"""``sithctl decompose``: singular vectors to concepts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sithctl.commands.common import command, is_given, source_or_pipe
from sithctl.commands.options import (
    CodeBatchOpt,
    CoherenceOpt,
    DeviceOpt,
    ExactOpt,
    ForceOpt,
    GapOpt,
    HistoryDetail,
    HistoryOpt,
    LayersOpt,
    MeanOpt,
    Method,
    MethodOpt,
    OutOpt,
    Pole,
    PoleOpt,
    PoolOpt,
    RankOpt,
    Side,
    SideOpt,
    SparsityOpt,
    VerboseOpt,
)
from sithctl.errors import InputError, UsageError

if TYPE_CHECKING:
    from sithctl.kinds import Codes, Mean, Pool, Spectra
    from sithctl.pursuit.search import Tally
    from sithctl.stages.options import Options

SpectraArg = Annotated[str | None, typer.Argument(help="Spectra from `sithctl svd`; - is a pipe.")]
ImportOpt = Annotated[
    list[Path] | None,
    typer.Option(
        "--import",
        help="SITH's own .pt files instead of selecting concepts, one a layer; repeatable. They "
        "explain + unless --pole says -.",
    ),
]
ExportOpt = Annotated[
    Path | None,
    typer.Option(
        "--export",
        help="A folder for SITH's own .pt files, those of − in minus/; without -o, these alone.",
    ),
]
# What makes no difference to explanations that are made already.
SELECTING = ("rank", "method", "sparsity", "coherence", "device", "batch_size", "exact")


@command
def decompose(
    context: typer.Context,
    spectra: SpectraArg = None,
    pool: PoolOpt = None,
    mean: MeanOpt = None,
    layers: LayersOpt = None,
    rank: RankOpt = None,
    method: MethodOpt = Method.comp,
    sparsity: SparsityOpt = 5,
    coherence: CoherenceOpt = 0.3,
    side: SideOpt = Side.right,
    pole: PoleOpt = Pole.both,
    degenerate_gap: GapOpt = 0.01,
    import_: ImportOpt = None,
    export: ExportOpt = None,
    device: DeviceOpt = "cpu",
    batch_size: CodeBatchOpt = 1024,
    exact: ExactOpt = False,
    verbose: VerboseOpt = False,
    output: OutOpt = None,
    force: ForceOpt = False,
    history: HistoryOpt = HistoryDetail.plain,
) -> None:
    """Explain singular vectors as sparse, non-negative combinations of concepts.

    The last four layers unless --layers says otherwise; both signs of every vector, because a head
    writes +v or −v depending on what it reads.

    Example: sithctl decompose spectra.safetensors --pool pool.h5 --mean mean.h5 -o codes.h5
    """
    from sithctl.artifacts.streams import check_target
    from sithctl.stages.options import Options

    source = source_or_pipe(spectra, context)
    late = [f"--{n.replace('_', '-')}" for n in SELECTING if is_given(context, n)]
    if import_ and late:
        raise UsageError("what is imported is made already", None, f"leave out {', '.join(late)}")
    if export is None or output is not None:
        check_target(output, force)
    options = Options(
        method.value, sparsity, coherence, rank, side.value, pole.value, degenerate_gap
    )
    from sithctl.artifacts import load
    from sithctl.commands.writing import write
    from sithctl.kinds import Spectra
    from sithctl.stages.decompose import decompose as stage
    from sithctl.views.console import output as console

    loaded = load(source, Spectra)
    concepts = load_pool(pool, loaded)
    if import_:
        codes = _imported(import_, loaded, concepts, load_mean(mean), layers, options)
    else:
        tallies: list[Tally] = []
        with console.progress("selecting concepts") as tell:
            codes = stage(
                loaded,
                concepts,
                load_mean(mean),
                layers=layers,
                options=options,
                batch_size=batch_size,
                device=device,
                screen=False if exact else None,
                progress=tell,
                report=tallies.append,
            )
        if verbose:
            console.note(tallies[0].summary())
    if export is not None:
        from sithctl.artifacts.decompositions import write_decompositions

        write_decompositions(codes, export, _dictionary(pool), force=force)
    if export is None or output is not None:
        write(codes, output, history)


def _imported(
    files: list[Path],
    spectra: Spectra,
    pool: Pool,
    mean: Mean | Literal["none"] | None,
    layers: str | None,
    options: Options,
) -> Codes:
    """Codes of the reference's files, after what their names say is checked."""
    from sithctl.artifacts.decompositions import layers_of, read_decomposition
    from sithctl.stages.imported import import_codes
    from sithctl.stages.vectors import chosen_layers

    found = [read_decomposition(file) for file in files]
    for one, file in zip(found, files, strict=True):
        if one.side not in (None, options.side):
            raise InputError(
                f"the file explains {one.side} vectors", file, f"give --side {one.side}"
            )
        if one.plain not in (None, spectra.plain):
            how = "without" if one.plain else "with"
            todo = "fold the model with --plain" if one.plain else "fold the model without --plain"
            raise InputError(f"the file explains heads {how} LayerNorm folded in", file, todo)
    # In the order given: a selection would sort them, and files are told apart by their order.
    parts = layers.split(",") if layers else []
    order = [layer for part in parts for layer in chosen_layers(spectra, part)]
    by_layer = layers_of(found, files, order or None)
    return import_codes(
        spectra,
        pool,
        {layer: (one.scores, one.indices) for layer, one in by_layer.items()},
        mean,
        side=options.side,
        pole="-" if options.pole == "-" else "+",
        degenerate_gap=options.degenerate_gap,
    )


def _dictionary(pool: str | None) -> str:
    """What the pool is called in the reference's file names: its file's name without suffixes."""
    if pool is None:
        return "scenes"
    return Path(pool).name.split(".")[0] or "pool" if pool != "-" else "pool"


def load_mean(mean: str | None) -> Mean | Literal["none"] | None:
    """The mean that ``--mean`` names."""
    from sithctl.artifacts import load
    from sithctl.kinds import Mean

    if mean is None or mean == "none":
        return mean  # type: ignore[return-value]
    return load(mean, Mean)


def load_pool(pool: str | None, spectra: Spectra | Codes) -> Pool:
    """The pool that ``--pool`` names, or the bundled model's own."""
    from sithctl.artifacts import load
    from sithctl.kinds import Pool
    from sithctl.models import open_model
    from sithctl.models.locate import BUNDLED

    if pool is not None:
        return load(pool, Pool)
    name = spectra.model.name
    if name not in BUNDLED or open_model(name).space != spectra.model.space:
        raise UsageError(
            "no pool",
            None,
            "make one with `sithctl encode-pool` of words or captioned images, and give --pool",
        )
    from sithctl.commands.chain import bundled_pool

    return bundled_pool(name)
