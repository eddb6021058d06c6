"""``sithctl edit``: singular values scaled in a model's own checkpoint."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sithctl.commands.common import command, is_given
from sithctl.commands.exchange import exchange, history, note_left_out
from sithctl.commands.options import (
    ForceOpt,
    LayersOpt,
    MeanOpt,
    ModelArg,
    PoolOpt,
    Tower,
    TowerOpt,
)
from sithctl.commands.plan_options import (
    AmplifyOpt,
    ApplyOpt,
    AtRandomOpt,
    CeilingOpt,
    CodesOpt,
    FactorOpt,
    FloorOpt,
    MapOpt,
    MaxVectorsOpt,
    OffsetOpt,
    PlanOpt,
    PlanSeedOpt,
    ReconstructOpt,
    ScoresOpt,
    SetOpt,
    SuppressOpt,
    TaskOpt,
    ThresholdOpt,
    UndoOpt,
    check_ways,
    planned,
)
from sithctl.errors import UsageError

if TYPE_CHECKING:
    from sithctl.kinds import Codes, Delta
    from sithctl.models.model import Model
    from sithctl.stages.edit import Edit


class PreviewFormat(StrEnum):
    table = "table"
    json = "json"


FolderOpt = Annotated[
    Path | None, typer.Option("--output", "-o", help="The directory to write: a whole model.")
]
DeltaOpt = Annotated[
    Path | None, typer.Option("--delta", help="Write the changed tensors alone, to put on later.")
]
SavePlanOpt = Annotated[
    Path | None, typer.Option("--save-plan", help="Write the plan: .csv, or .toml.")
]
DryRunOpt = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and stop.")]
FormatOpt = Annotated[PreviewFormat, typer.Option("--format", help="Of --dry-run.")]


@command
def edit(
    context: typer.Context,
    model: ModelArg = "scenes",
    set_: SetOpt = None,
    plan: PlanOpt = None,
    codes: CodesOpt = None,
    suppress: SuppressOpt = None,
    amplify: AmplifyOpt = None,
    factor: FactorOpt = None,
    threshold: ThresholdOpt = 0.3,
    max_vectors: MaxVectorsOpt = None,
    task: TaskOpt = None,
    floor: FloorOpt = 0.8,
    offset: OffsetOpt = 0.3,
    ceiling: CeilingOpt = None,
    scores: ScoresOpt = None,
    map_: MapOpt = None,
    reconstruct: ReconstructOpt = None,
    at_random: AtRandomOpt = None,
    seed: PlanSeedOpt = 0,
    apply: ApplyOpt = None,
    undo: UndoOpt = None,
    pool: PoolOpt = None,
    mean: MeanOpt = None,
    layers: LayersOpt = None,
    tower: TowerOpt = Tower.vision,
    save_plan: SavePlanOpt = None,
    dry_run: DryRunOpt = False,
    format: FormatOpt = PreviewFormat.table,  # noqa: A002 (the option's name)
    delta: DeltaOpt = None,
    output: FolderOpt = None,
    force: ForceOpt = False,
) -> None:
    """Scale singular values, and write a normal checkpoint.

    Only the output projections change: names, shapes, types and all other bytes stay, and the
    result loads in the library that the model came from. Scaling touches both signs of a vector;
    --dry-run shows what goes with it. Several ways of choosing add up, --set having the last word.

    Example: sithctl edit scenes --suppress "ocean, sea" --layers 5 --dry-run

    Example: sithctl edit scenes --suppress "ocean, sea" --layers 5 -o edited
    """
    from sithctl.artifacts.streams import check_target
    from sithctl.models import open_model
    from sithctl.models.directory import check_directory

    check_ways(context)
    if not (output or delta or save_plan or dry_run):
        raise UsageError("nowhere to write", None, "name a directory with -o, or --dry-run")
    _check_outputs(context)
    opened = open_model(model, tower=tower)
    if output is not None:
        check_directory(opened, output, force)
    if delta is not None:
        check_target(delta, force)
    if save_plan is not None:  # a plan that lies there may be this very one: looked at once made
        check_target(save_plan, force or save_plan.is_file())
    if apply is not None or undo is not None:
        exchange(opened, apply, undo, output)
        return
    made, said = _edited(context, opened)
    if save_plan is not None:
        _save_plan(made, save_plan, force)
    _note_large(made, by_words=bool(suppress or amplify))
    if dry_run:
        said = said or _said(context, made)
        _preview(made, said, format)
    if not dry_run:
        _write(opened, made, output, delta)


def _check_outputs(context: typer.Context) -> None:
    """Refuse what would be passed over in silence."""
    given = context.params
    exchanged = given["apply"] is not None or given["undo"] is not None
    for name in ("delta", "save_plan", "dry_run"):
        if exchanged and given[name]:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} does not go with a delta", None, "leave it out")
    if given["reconstruct"] is not None and given["save_plan"] is not None:
        raise UsageError("--reconstruct has no plan to save", None, "leave out --save-plan")
    if is_given(context, "format") and not given["dry_run"]:
        raise UsageError("--format is of --dry-run", None, "leave it out")


def _said(context: typer.Context, made: Edit) -> Codes | None:
    """What the vectors of a plan without codes mean, where there is a pool to say it."""
    from sithctl.commands.edit_codes import chain_codes
    from sithctl.models.locate import BUNDLED

    given = context.params
    if given["pool"] is None and (given["model"] not in BUNDLED or given["tower"] != "vision"):
        return None
    return chain_codes(given, ",".join(map(str, sorted(made.layers))))


def _edited(context: typer.Context, model: Model) -> tuple[Edit, Codes | None]:
    from sithctl.stages.edit import edit as stage

    name = context.params["reconstruct"]
    if name is not None:
        from sithctl.artifacts import load
        from sithctl.kinds import Codes
        from sithctl.stages.ownership import check_codes
        from sithctl.stages.reconstruct import reconstruct

        codes = check_codes(load(name, Codes), model)
        return reconstruct(model, codes), codes
    plan, said = planned(context, model)
    return stage(model, plan), said


def _preview(made: Edit, codes: Codes | None, format: PreviewFormat) -> None:  # noqa: A002
    from sithctl.stages.planning import both_poles
    from sithctl.views.console import output
    from sithctl.views.edit import as_records, preview

    poles = None if codes is None else both_poles(codes)
    if format is PreviewFormat.json:
        output.text(json.dumps(as_records(made, poles), ensure_ascii=False, indent=2) + "\n")
    else:
        output.table(preview(made, made.model.name or "the model", poles))


def _save_plan(made: Edit, file: Path, force: bool) -> None:
    """Write the plan, unless it lies there already, as after a --dry-run."""
    from sithctl.artifacts.plans import lies_there, write_plan
    from sithctl.artifacts.streams import check_target

    if not lies_there(made.plan, file):
        check_target(file, force)
        write_plan(made.plan, file)


def _note_large(made: Edit, *, by_words: bool) -> None:
    from sithctl.views.console import output
    from sithctl.views.edit import large

    told = large(made)
    if told:
        todo = ": --max-vectors, or a higher --threshold, takes fewer vectors"
        output.note(told + (todo if by_words else ""))


def _write(model: Model, made: Edit, folder: Path | None, delta: Path | None) -> None:
    from sithctl.artifacts import save
    from sithctl.stages.delta import delta_of
    from sithctl.views.console import output
    from sithctl.views.edit import summary

    document = delta_of(made)
    if folder is not None:
        verified = _write_model(model, made, document, folder)
        output.note(f"{summary(made, verified)}: {folder}")
    if delta is not None:
        save(document, delta)
        if folder is None:
            output.note(f"{summary(made, None)}: {delta}")


def _write_model(model: Model, made: Edit, document: Delta, folder: Path) -> Any:
    """Write it, read it back, and only then put it in its place."""
    from dataclasses import asdict

    from sithctl._version import __version__
    from sithctl.artifacts.plans import plan_text
    from sithctl.models.directory import PLAN, README, write_directory
    from sithctl.models.location import HISTORY
    from sithctl.stages.verify import verify
    from sithctl.views.edit import readme, scaled

    def texts(written: Model) -> dict[str, str]:
        found = verify(written, made)
        verifications.append(found)
        what = scaled(len(made.plan.changes))
        if not made.plan.changes:
            what = "right singular vectors replaced by what their concepts say"
        told = {**document.document(), "verified": asdict(found)}
        told["history"] = history(model, document, applied=True)
        told.pop("dtypes")
        files = {
            README: readme(made, model.name, __version__, what, asdict(found), model.family.tower),
            HISTORY: json.dumps(told, ensure_ascii=False, indent=2) + "\n",
        }
        return files | ({PLAN: plan_text(made.plan)} if made.plan.changes else {})

    verifications: list[Any] = []
    left_out = write_directory(model, made.changed, folder, texts)
    note_left_out(left_out)
    return verifications[0]
