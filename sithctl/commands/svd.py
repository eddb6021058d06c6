"""``sithctl svd``: factors to singular triplets."""

from __future__ import annotations

from typing import Annotated

import typer

from sithctl.commands import completion
from sithctl.commands.common import command, source_or_pipe
from sithctl.commands.instead import refuse_text
from sithctl.commands.options import (
    DeviceOpt,
    ForceOpt,
    HistoryDetail,
    HistoryOpt,
    OutOpt,
    RankOpt,
)

HeadsArg = Annotated[
    str | None,
    typer.Argument(
        help="Heads from `sithctl fold`; - is a pipe.",
        autocompletion=completion.tensors,
    ),
]
MinusOpt = Annotated[
    str | None,
    typer.Option(
        "--minus",
        help="Heads to subtract: decompose what has changed.",
        autocompletion=completion.tensors,
    ),
]


@command
def svd(
    context: typer.Context,
    heads: HeadsArg = None,
    rank: RankOpt = None,
    minus: MinusOpt = None,
    device: DeviceOpt = "cpu",
    output: OutOpt = None,
    force: ForceOpt = False,
    history: HistoryOpt = HistoryDetail.plain,
) -> None:
    """Decompose every head's value-output matrix into singular vectors.

    Exact, from the thin factors: the width × width matrix is never formed.

    Example: sithctl svd heads.safetensors -o spectra.safetensors
    """
    from sithctl.artifacts.streams import check_target

    source = source_or_pipe(heads, context)
    check_target(output, force)
    from sithctl.artifacts import load
    from sithctl.commands.writing import write
    from sithctl.kinds import Heads
    from sithctl.stages.svd import svd as stage

    for name in filter(None, (source, minus)):
        refuse_text(name, "heads were")
    base = load(minus, Heads) if minus else None
    write(stage(load(source, Heads), rank=rank, minus=base, device=device), output, history)
