"""``eval``'s tasks, registered; nothing else."""

from __future__ import annotations

from collections.abc import Callable

import typer

from sithctl.commands.common import command
from sithctl.commands.evaluation.agreement import agreement
from sithctl.commands.evaluation.coherence import coherence
from sithctl.commands.evaluation.drift import drift
from sithctl.commands.evaluation.effect import effect
from sithctl.commands.evaluation.fidelity import fidelity
from sithctl.commands.evaluation.retrieval import retrieval
from sithctl.commands.evaluation.trust import trust
from sithctl.commands.evaluation.zero_shot import zero_shot

app = typer.Typer(
    name="eval",
    add_completion=False,
    no_args_is_help=True,
    help="Measure explanations and edits, each figure beside what chance gives.",
    epilog="Start with: sithctl eval coherence codes.h5",
)

# In the order of the manual.
TASKS: tuple[Callable[..., None], ...] = (
    fidelity,
    coherence,
    agreement,
    trust,
    effect,
    zero_shot,
    retrieval,
    drift,
)

for _task in TASKS:
    app.command(_task.__name__.replace("_", "-"))(command(_task, "eval"))
