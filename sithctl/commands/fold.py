"""``sithctl fold``: weights to thin factors of value-output matrices."""

from __future__ import annotations

from typing import Annotated

import typer

from sithctl.commands.common import command
from sithctl.commands.options import (
    FoldPrecision,
    ForceOpt,
    HistoryDetail,
    HistoryOpt,
    LayersOpt,
    ModelArg,
    OutOpt,
)

PlainOpt = Annotated[
    bool, typer.Option("--plain", help="Neither fold the LayerNorm nor centre (cannot be edited).")
]
DtypeOpt = Annotated[FoldPrecision, typer.Option("--dtype", help="Of the factors written.")]


@command
def fold(
    model: ModelArg = "scenes",
    layers: LayersOpt = None,
    plain: PlainOpt = False,
    dtype: DtypeOpt = FoldPrecision.float32,
    output: OutOpt = None,
    force: ForceOpt = False,
    history: HistoryOpt = HistoryDetail.plain,
) -> None:
    """Fold a model's weights into the value-output matrices of its heads.

    Reads only the tensors it needs and builds no model. LayerNorm's scale and LayerScale are folded
    in and both sides centred, unless --plain. (SITH's own script has it the other way round: it
    folds only when told to.)

    Example: sithctl fold scenes --layers 4-5 -o heads.safetensors
    """
    from sithctl.artifacts.streams import check_target
    from sithctl.commands.writing import write

    check_target(output, force)
    from sithctl.stages.fold import fold as stage

    write(stage(model, layers, plain=plain, dtype=dtype.value), output, history)
