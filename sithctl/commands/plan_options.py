"""The ways of saying what to edit, and the changes that each gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sithctl.commands import completion
from sithctl.commands.common import is_given
from sithctl.commands.edit_codes import codes_for
from sithctl.commands.edit_words import check_words, from_words
from sithctl.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sithctl.kinds import Change, Codes, Plan, Pool
    from sithctl.models.model import Model
    from sithctl.stages.similarity import Encode

SetOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="By hand: 5.2.0=0, 4-5.*.0-3=0.5 (layer.head.vector=factor); repeatable.",
        autocompletion=completion.places,
    ),
]
PlanOpt = Annotated[
    list[Path] | None,
    typer.Option(
        "--plan",
        help="By plan: a CSV or TOML of layer, head, sv, scale; repeatable.",
        autocompletion=completion.plans,
    ),
]
CodesOpt = Annotated[
    str | None,
    typer.Option(
        "--codes",
        help="Explanations of this model; without them they are made.",
        autocompletion=completion.codes,
    ),
]
SuppressOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--suppress",
        help='By concept: what heads shall no longer write, "ocean, sea"; repeatable.',
    ),
]
AmplifyOpt = Annotated[
    list[str] | None,
    typer.Option("--amplify", help="By concept: what heads shall write more of; repeatable."),
]
FactorOpt = Annotated[
    float | None,
    typer.Option("--factor", help="For what is suppressed (default 0) or amplified (default 2)."),
]
ThresholdOpt = Annotated[
    float, typer.Option("--threshold", min=0.0, help="How like the words explanations must be.")
]
MaxVectorsOpt = Annotated[
    int | None, typer.Option("--max-vectors", min=1, help="So many vectors at most.")
]
TaskOpt = Annotated[
    Path | None,
    typer.Option(
        "--task",
        help="By task: class names, one a line; σ by relevance, as the paper.",
        autocompletion=completion.texts,
    ),
]
FloorOpt = Annotated[float, typer.Option("--floor", help="Of a task's factors.")]
OffsetOpt = Annotated[float, typer.Option("--offset", help="Added to a vector's relevance.")]
CeilingOpt = Annotated[
    float | None, typer.Option("--ceiling", help="Of a task's factors; none unless given.")
]
ScoresOpt = Annotated[
    str | None,
    typer.Option(
        "--scores",
        help="By judgement: a CSV from `sithctl judge`.",
        autocompletion=completion.scores,
    ),
]
MapOpt = Annotated[
    str | None, typer.Option("--map", help="Scores to factors: 3-5=0, or 3=-1,4-5=0.")
]
ReconstructOpt = Annotated[
    str | None,
    typer.Option(
        "--reconstruct",
        help="Codes: put each vector's concepts in its place.",
        autocompletion=completion.codes,
    ),
]
AtRandomOpt = Annotated[
    Path | None,
    typer.Option(
        "--at-random",
        help="A control: another edit of a plan's size, at random.",
        autocompletion=completion.plans,
    ),
]
PlanSeedOpt = Annotated[int, typer.Option("--seed", help="Of --at-random.")]
ApplyOpt = Annotated[
    Path | None,
    typer.Option("--apply", help="Put a delta on.", autocompletion=completion.tensors),
]
UndoOpt = Annotated[
    Path | None,
    typer.Option(
        "--undo",
        help="Take a delta off again.",
        autocompletion=completion.tensors,
    ),
]

ALONE = ("reconstruct", "at_random", "apply", "undo")
WAYS = ("set_", "plan", "suppress", "amplify", "task", "scores", *ALONE)


def check_ways(context: typer.Context) -> list[str]:
    """Which ways were asked for.

    Raises:
        UsageError: none, or some that do not go together.
    """
    ways = [name for name in WAYS if context.params[name]]
    if not ways:
        typer.echo(context.get_usage(), err=True)
        raise UsageError("nothing to change", None, "name vectors with --set, --plan, --suppress …")
    alone = [name for name in ways if name in ALONE]
    if alone and len(ways) > 1:
        raise UsageError(f"{_options(alone[:1])} goes alone", None, f"one of {_options(ways)}")
    if is_given(context, "seed") and "at_random" not in ways:
        raise UsageError("--seed is of --at-random", None, "leave it out")
    if ("scores" in ways) != (context.params["map_"] is not None):
        raise UsageError("--scores and --map go together", None, "e.g. --map 3-5=0")
    if is_given(context, "factor") and not {"suppress", "amplify"} & set(ways):
        raise UsageError("--factor is of --suppress and --amplify", None, "leave it out")
    check_words(context.params)
    return ways


def _options(names: list[str]) -> str:
    return ", ".join(f"--{name.rstrip('_').replace('_', '-')}" for name in names)


def planned(context: typer.Context, model: Model) -> tuple[Plan, Codes | None]:
    """The plan that the options make, and the codes that it was made with."""
    from sithctl.kinds import Plan
    from sithctl.stages.edit import identity

    given = context.params
    codes = codes_for(given, model) if _needs_codes(given) else None
    changes = [
        *_from_plans(given["plan"] or (), model),
        *_from_scores(given, model),
        *_control(given, model),
    ]
    if codes is not None:
        changes += _from_codes(given, model, codes)
    for text in given["set_"] or ():
        from sithctl.stages.planning import by_hand

        changes += by_hand(text, (model.layers, model.heads, model.head_dim), model.name)
    plan = Plan.of(_with_reasons(changes))
    return Plan(plan.changes, identity(model, _within(plan, model))), codes


def _with_reasons(changes: list[Change]) -> list[Change]:
    """Of several words on one vector the last counts, and says which it overrides."""
    from dataclasses import replace

    last: dict[tuple[int, int, int], Change] = {}
    for change in changes:
        before = last.get(change.place)
        if before is not None and before.scale != change.scale:
            why = f"{change.why}; not {before.scale:g} ({before.why})"
            change = replace(change, why=why)
        last[change.place] = change
    return list(last.values())


def _within(plan: Plan, model: Model) -> list[int]:
    """The plan's layers that there are; of others ``edit`` says that they are not."""
    return [layer for layer in plan.layers if 0 <= layer < model.layers]


def _needs_codes(given: dict[str, Any]) -> bool:
    return given["codes"] is not None or any(given[n] for n in ("suppress", "amplify", "task"))


def _control(given: dict[str, Any], model: Model) -> list[Change]:
    if given["at_random"] is None:
        return []
    from sithctl.stages.control import at_random
    from sithctl.stages.edit import Spectrum

    changes = _from_plan(given["at_random"], model)
    layers = {change.layer for change in changes}
    sigma = {n: Spectrum.of(model, model.layer(n)).sigma.numpy() for n in layers}
    return at_random(changes, sigma, given["seed"])


def _from_plans(files: Sequence[Path], model: Model) -> list[Change]:
    """Plans add up: none is the last word on a vector that another changes, too.

    Raises:
        InputError: two of them have unlike factors for one vector.
    """
    found: dict[tuple[int, int, int], tuple[Change, Path]] = {}
    for file in files:
        for change in _from_plan(file, model):
            before, other = found.setdefault(change.place, (change, file))
            if before.scale != change.scale:
                where = ".".join(map(str, change.place))
                what = f"vector {where} is scaled by {change.scale:g}, and by {before.scale:g}"
                raise InputError(f"{what} in {other}", file, "keep one row for it")
    return [change for change, _ in found.values()]


def _from_plan(file: Path, model: Model) -> list[Change]:
    from sithctl.artifacts.plans import read_plan
    from sithctl.stages.edit import check_plan
    from sithctl.views.console import output

    plan = read_plan(file)
    check_plan(model, plan)
    if plan.model is None:
        output.note("note: the plan does not say which model it was made for: not checked")
    return list(plan.changes)


def _from_scores(given: dict[str, Any], model: Model) -> list[Change]:
    if given["scores"] is None:
        return []
    from sithctl.artifacts.scores import read_judged
    from sithctl.stages.edit import check_origin
    from sithctl.stages.planning import by_scores, parse_map

    scores, judged = read_judged(given["scores"])
    changes = by_scores(scores, parse_map(given["map_"]))
    if judged is not None:
        layers = sorted({change.layer for change in changes})
        check_origin(model, judged, layers, "the scores were")
    return changes


def _from_codes(given: dict[str, Any], model: Model, codes: Codes) -> list[Change]:
    from sithctl.stages.relevance import by_task

    if not any(given[name] for name in ("suppress", "amplify", "task")):
        return []
    encode = _text_tower(given["model"])
    changes = from_words(given, codes, encode)
    if given["task"] is not None:
        if encode is None:
            raise InputError("not supported: --task without a text tower", model.name, "--suppress")
        from sithctl.sources.concepts import read_concepts

        limits = {name: given[name] for name in ("floor", "offset", "ceiling")}
        classes = read_concepts(given["task"])
        changes += by_task(codes, _pool(given), classes, encode, **limits)
    return changes


def _pool(given: dict[str, Any]) -> Pool:
    from sithctl.artifacts import load
    from sithctl.commands.chain import bundled_pool
    from sithctl.kinds import Pool
    from sithctl.models.locate import BUNDLED

    if given["pool"] is not None:
        return load(given["pool"], Pool)
    if given["model"] not in BUNDLED:
        raise UsageError("--task needs the pool", None, "give --pool FILE")
    return bundled_pool(given["model"])


def _text_tower(model: str) -> Encode | None:
    from sithctl.models import load_encoder
    from sithctl.views.console import output

    with output.working("loading the model"):
        encoder = load_encoder(model)
    if not encoder.has_text:
        return None
    return lambda texts: encoder.encode_text(texts).numpy()
