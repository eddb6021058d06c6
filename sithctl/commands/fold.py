"""``sithctl fold``: weights to thin factors of value-output matrices."""

from __future__ import annotations

from typing import Annotated

import typer

from sithctl.commands.common import command
from sithctl.commands.options import (
    FoldPrecision,
    ForceOpt,
    HeadsOpt,
    HistoryDetail,
    HistoryOpt,
    LayersOpt,
    ModelArg,
    OutOpt,
    Tower,
    TowerOpt,
)

PlainOpt = Annotated[
    bool, typer.Option("--plain", help="Neither fold the LayerNorm nor centre (cannot be edited).")
]
DtypeOpt = Annotated[FoldPrecision, typer.Option("--dtype", help="Of the factors written.")]
DryRunOpt = Annotated[
    bool, typer.Option("--dry-run", help="Show the tensors that would be read, and stop.")
]


@command
def fold(
    model: ModelArg = "scenes",
    layers: LayersOpt = None,
    tower: TowerOpt = Tower.vision,
    heads: HeadsOpt = None,
    plain: PlainOpt = False,
    dtype: DtypeOpt = FoldPrecision.float32,
    dry_run: DryRunOpt = False,
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
    if dry_run:
        _show(model, layers, tower.value, heads)
        return
    from sithctl.artifacts.streams import check_target
    from sithctl.commands.writing import write

    check_target(output, force)
    from sithctl.stages.fold import fold as stage

    folded = stage(model, layers, tower=tower.value, heads=heads, plain=plain, dtype=dtype.value)
    write(folded, output, history)


def _show(name: str, layers: str | None, tower: str, heads: int | None) -> None:
    from sithctl.models import open_model
    from sithctl.stages.layers import select_layers
    from sithctl.views.console import output
    from sithctl.views.models import needed

    model = open_model(name, tower=tower, heads=heads)
    chosen = select_layers(layers, model.layers, model.name, hint="or name another MODEL")
    checkpoint = model.checkpoint
    tensors = [(n, checkpoint.shape(n), checkpoint.dtype(n)) for n in model.tensors(chosen)]
    output.table(needed(model.name, model.architecture(), str(checkpoint.path), tensors))
