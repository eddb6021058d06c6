"""What an edit changes, for people: before it happens, and in the written model's README."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from shlex import quote
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sithctl.kinds import Change, Delta, Plan
from sithctl.models.directory import OURS, PLAN
from sithctl.stages.edit import Edit
from sithctl.stages.explain import Explanation
from sithctl.stages.verify import Verified
from sithctl.views.terminal import POLE_SIGN, POLE_STYLE
from sithctl.views.text import printable

Poles = Callable[[tuple[int, int, int]], Sequence[Explanation]]
SHOWN = 3  # concepts of each pole
ROWS = 200  # of a README's table
MUCH = 0.25  # of a layer's energy, beyond which an edit changes more than what it is about


def preview(edit: Edit, model: str, poles: Poles | None) -> RenderableType:
    """Every vector with both of its poles, σ before and after, and each layer's share of energy."""
    title = Text(f"what would change in {printable(model)}", "bold")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("vector", no_wrap=True)
    table.add_column("σ", justify="right", no_wrap=True)
    table.add_column("→", justify="right", no_wrap=True)
    if poles is not None:
        table.add_column("both signs go with it", ratio=3, overflow="fold")
    table.add_column("why", ratio=2, overflow="fold")
    for change in edit.plan.changes:
        sigma = float(edit.layers[change.layer].before[change.head, change.sv])
        cells = [Text(_place(change)), Text(f"{sigma:.3g}"), Text(f"{change.scale * sigma:.3g}")]
        if poles is not None:
            cells.append(_both(poles(change.place)))
        table.add_row(*cells, Text(printable(change.why), style="dim"))
    touched = Text(f"of the value-output energy: {_shares(edit)}", style="dim")
    return Group(title, table, touched)


def _shares(edit: Edit) -> str:
    return ", ".join(f"layer {n}: {e.touched:.1%}" for n, e in sorted(edit.layers.items()))


def large(edit: Edit) -> str:
    """A line where the edit is no small one any more, or nothing."""
    much = [(n, e.moved) for n, e in sorted(edit.layers.items()) if e.moved > MUCH]
    if not much or not edit.plan.changes:  # a reconstruction puts all in another place
        return ""
    shares = ", ".join(f"{share:.0%} of layer {n}'s" for n, share in much)
    return f"note: a large edit: it changes {shares} value-output energy"


def _both(explanations: Sequence[Explanation]) -> Text:
    lines = []
    for e in explanations:
        said = ", ".join(printable(c.concept) for c in e.concepts[:SHOWN]) or "no concept"
        lines.append(Text.assemble((f"{POLE_SIGN[e.pole]} ", POLE_STYLE[e.pole]), said))
    return Text("\n").join(lines)


def _place(change: Change) -> str:
    return ".".join(map(str, change.place))


def as_records(edit: Edit, poles: Poles | None) -> dict[str, Any]:
    """The same as JSON has it."""
    rows = []
    for change in edit.plan.changes:
        sigma = float(edit.layers[change.layer].before[change.head, change.sv])
        row = {**asdict(change), "sigma": sigma, "sigma_after": change.scale * sigma}
        if poles is not None:
            row["poles"] = {
                e.pole: [
                    {"concept": c.concept, "coefficient": c.coefficient, "index": c.index}
                    for c in e.concepts
                ]
                for e in poles(change.place)
            }
        rows.append(row)
    return {
        "model": edit.model.name,
        "changes": rows,
        "energy": {str(layer): e.touched for layer, e in sorted(edit.layers.items())},
    }


def readme(
    edit: Edit, model: str, version: str, what: str, verified: Mapping[str, Any], tower: str
) -> str:
    """The text that stands above the original's README."""
    of = "" if tower == "vision" else f" of its {tower} tower"
    options = "" if tower == "vision" else f" --tower {tower}"
    lines = [
        OURS[0],
        f"# {_markdown(model)}, edited",
        "",
        f"Made from {_markdown(model)} by sithctl {version}: {what}{of}.",
        "Only output projections of attention heads are changed; names, shapes and types of all",
        "tensors are the original's, and it loads as the original does.",
        "",
        f"Share of the value-output energy touched: {_shares(edit)}.",
        f"Read back after writing ({verified['dtype']}): singular values are "
        f"{verified['sigma']:.1e} off, relative to each head's largest.",
        "",
    ]
    if edit.plan.changes:
        lines += [
            "Again, or of another copy, with the plan that lies beside this file:",
            "",
            f"    sithctl edit {quote(printable(model))}{options} --plan {PLAN} -o DIR",
            "",
            *_table(edit.plan),
            "",
        ]
    return "\n".join([*lines, f"{OURS[1]}\n"])


def readme_of_delta(delta: Delta, model: str, version: str) -> str:
    """The same for a model that a delta was put on."""
    plan = Plan.of(Change(**row) for row in delta.plan)
    lines = [
        OURS[0],
        f"# {_markdown(model)}, edited",
        "",
        f"Made from {_markdown(model)} by sithctl {version}: a delta put on, which holds",
        f"{len(delta.changed)} tensors; `sithctl edit --undo` takes it off again.",
        "",
        *(_table(plan) if plan.changes else []),
        "",
        f"{OURS[1]}\n",
    ]
    return "\n".join(lines)


def _table(plan: Plan) -> list[str]:
    lines = ["| layer | head | vector | factor | why |", "|---:|---:|---:|---:|:---|"]
    for c in plan.changes[:ROWS]:
        lines.append(f"| {c.layer} | {c.head} | {c.sv} | {c.scale:g} | {_markdown(c.why)} |")
    if len(plan.changes) > ROWS:
        lines.append(f"\n{len(plan.changes) - ROWS} more stand in the plan.")
    return lines


def _markdown(text: str) -> str:
    """Concepts come from anybody: no markup of theirs, and no line of its own."""
    safe = printable(text).replace("\\", "\\\\").replace("|", "\\|")
    safe = safe.replace("&", "&amp;").replace("<", "&lt;").replace("://", "&#58;//")
    for mark in "*_`[]~":
        safe = safe.replace(mark, f"\\{mark}")
    return " ".join(safe.split())


def scaled(count: int) -> str:
    """How many, in words."""
    return f"{count} singular value{'' if count == 1 else 's'} scaled"


def summary(edit: Edit, verified: Verified | None) -> str:
    """A line for after the writing; ``verified`` is what was read back of a model."""
    vectors = len(edit.plan.changes)
    what = scaled(vectors) if vectors else "vectors reconstructed"
    what += f", of the value-output energy {_shares(edit)}"
    if verified is None:
        return what
    rounding = ""
    if verified.dtype != "float32":
        rounding = f" (rounding to {verified.dtype} may make {verified.bound:.1e})"
    return f"{what}; read back: σ off by {verified.sigma:.1e} of each head's largest{rounding}"
