"""``sithctl decompose``: singular vectors to concepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sithctl.commands.common import command, source_or_pipe
from sithctl.commands.options import (
    CodeBatchOpt,
    CoherenceOpt,
    DeviceOpt,
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
)
from sithctl.errors import UsageError

if TYPE_CHECKING:
    from sithctl.kinds import Mean, Pool, Spectra

SpectraArg = Annotated[str | None, typer.Argument(help="Spectra from `sithctl svd`; - is a pipe.")]


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
    device: DeviceOpt = "cpu",
    batch_size: CodeBatchOpt = 1024,
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
    concepts = _pool(pool, loaded)
    with console.progress("selecting concepts") as tell:
        codes = stage(
            loaded,
            concepts,
            load_mean(mean),
            layers=layers,
            options=options,
            batch_size=batch_size,
            device=device,
            progress=tell,
        )
    write(codes, output, history)


def load_mean(mean: str | None) -> Mean | Literal["none"] | None:
    """The mean that ``--mean`` names."""
    from sithctl.artifacts import load
    from sithctl.kinds import Mean

    if mean is None or mean == "none":
        return mean  # type: ignore[return-value]
    return load(mean, Mean)


def _pool(pool: str | None, spectra: Spectra) -> Pool:
    from sithctl.artifacts import load
    from sithctl.kinds import Pool
    from sithctl.scenes.bundled import bundled_mean

    if pool is not None:
        return load(pool, Pool)
    if bundled_mean(spectra.model.space) is None:
        raise UsageError(
            "no pool", None, "make one with `sithctl encode-pool WORDS.txt` and give --pool FILE"
        )
    from sithctl.commands.chain import bundled_pool

    return bundled_pool()
