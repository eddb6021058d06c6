"""``sithctl decompose``: singular vectors to concepts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sithctl.commands import completion, ranks
from sithctl.commands.common import command, is_given, source_or_pipe
from sithctl.commands.instead import refuse_images, refuse_text
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
    MaxMemoryOpt,
    MeanOpt,
    Method,
    MethodOpt,
    OutOpt,
    Pole,
    PoleOpt,
    PoolOpt,
    RankOpt,
    ShardOpt,
    Side,
    SideOpt,
    SparsityOpt,
    VerboseOpt,
    size_of,
)
from sithctl.errors import InputError, UsageError

if TYPE_CHECKING:
    from sithctl.kinds import Codes, Mean, Pool, Spectra
    from sithctl.stages.options import Options
    from sithctl.stages.task import Task

SpectraArg = Annotated[
    str | None,
    typer.Argument(
        help="Spectra from `sithctl svd`; - is a pipe.",
        autocompletion=completion.tensors,
    ),
]
ImportOpt = Annotated[
    list[Path] | None,
    typer.Option(
        "--import",
        help="SITH's own .pt files instead of selecting concepts, one a layer; repeatable. They "
        "explain + unless --pole says -.",
        autocompletion=completion.published,
    ),
]
ExportOpt = Annotated[
    Path | None,
    typer.Option(
        "--export",
        help="A folder for SITH's own .pt files, those of − in minus/; without -o, these alone.",
    ),
]
STORED = ("embeddings",)  # of a pool: they can be more than memory holds
# What makes no difference to explanations that are made already.
SELECTING = (
    "rank",
    "method",
    "sparsity",
    "coherence",
    "device",
    "batch_size",
    "shard",
    "exact",
    "max_memory",
)


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
    shard: ShardOpt = None,
    exact: ExactOpt = False,
    max_memory: MaxMemoryOpt = None,
    verbose: VerboseOpt = False,
    output: OutOpt = None,
    force: ForceOpt = False,
    history: HistoryOpt = HistoryDetail.plain,
) -> None:
    """Explain singular vectors as sparse, non-negative combinations of concepts.

    The last four layers unless --layers says otherwise; both signs of every vector, because a head
    writes +v or −v depending on what it reads.

    A run that was killed goes on where it was when the same command is given again. torchrun
    shares the work out to its processes, --shard to machines. For a trial give --rank or --layers.

    Example: sithctl decompose spectra.safetensors --pool pool.h5 --mean mean.h5 -o codes.h5
    """
    from sithctl.commands.writing import check_target, write
    from sithctl.stages.options import Options

    source = source_or_pipe(spectra, context)
    for name in (source, pool, mean):
        ranks.refuse_pipe(name)
    if (source, pool, mean).count("-") > 1:
        raise UsageError("two inputs from one pipe", "-", "name a file for the other")
    late = [f"--{n.replace('_', '-')}" for n in SELECTING if is_given(context, n)]
    if import_ and late:
        raise UsageError("what is imported is made already", None, f"leave out {', '.join(late)}")
    if shard is not None and export is not None:
        raise UsageError("--export of a part", shard, "leave out one of --export and --shard")
    if export is None or output is not None:
        check_target(output, force)
    size_of(max_memory)  # or refuse it, before anything is read
    options = Options(
        method.value, sparsity, coherence, rank, side.value, pole.value, degenerate_gap
    )
    from sithctl.artifacts import load
    from sithctl.kinds import Spectra

    if ranks.rank() > 0 and (import_ or (export is not None and output is None)):
        return  # nothing to share
    loaded = load(source, Spectra)
    concepts = load_pool(pool, loaded, stored=True)
    codes: Codes | None
    if import_:
        codes = _imported(import_, loaded, concepts, load_mean(mean), layers, options)
        if export is None or output is not None:
            write(codes, output, history)
    else:
        from sithctl.stages.task import pose

        codes = _selected(pose(loaded, concepts, load_mean(mean), layers, options), context)
    if export is not None and codes is not None:
        from sithctl.artifacts.decompositions import write_decompositions

        write_decompositions(codes, export, _dictionary(pool), force=force)


def _selected(task: Task, context: typer.Context) -> Codes | None:
    """Write the codes of a task, but those for export alone; hand on those for export."""
    from sithctl.commands.work import carry_out
    from sithctl.pursuit.search import Tally
    from sithctl.stages.blocks import Share, done_at_once
    from sithctl.stages.decompose import Pursuit, rows_a_block
    from sithctl.views.console import output as console

    given = context.params
    shards = Share.parse(given["shard"]).of if given["shard"] else 1
    rows = rows_a_block(len(task.targets), shards)
    device = ranks.device(given["device"])
    screen = False if given["exact"] else None
    alone = given["export"] is not None and given["output"] is None
    tallies: list[Tally] = []

    def report(tally: Tally) -> None:
        tallies.extend([tally] if alone else ranks.words(tally))

    with console.progress("selecting concepts") as tell:
        most = size_of(given["max_memory"])
        job = Pursuit(task, given["batch_size"], device, tell, rows, screen, most, report)
        if alone:
            codes: Codes | None = done_at_once(job)
        else:
            blocks = carry_out(job, "decompose", context, {})
            handed_on = given["export"] is not None and ranks.rank() == 0
            codes = job.whole(blocks) if handed_on else None
    if given["verbose"]:
        console.note(sum(tallies, Tally()).summary())
    return codes


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
    refuse_images(mean)
    return load(mean, Mean)


def load_pool(pool: str | None, spectra: Spectra | Codes, *, stored: bool = False) -> Pool:
    """The pool that ``--pool`` names, or the bundled model's own.

    Args:
        pool: as given.
        spectra: what it is to explain.
        stored: whether its embeddings stay in the file until they are asked for.
    """
    from sithctl.artifacts import load
    from sithctl.kinds import Pool
    from sithctl.models import open_model
    from sithctl.models.locate import BUNDLED

    if pool is not None:
        refuse_text(pool, "a pool was")
        return load(pool, Pool, stored=STORED if stored else ())
    name = spectra.model.name
    if name not in BUNDLED or open_model(name).space != spectra.model.space:
        raise UsageError(
            "no pool",
            None,
            "make one with `sithctl encode-pool` of words or captioned images, and give --pool",
        )
    from sithctl.commands.chain import bundled_pool

    return bundled_pool(name)
