"""``eval``'s tasks, registered; nothing else."""

from __future__ import annotations

from collections.abc import Callable

import typer

from sithctl.commands.common import command
from sithctl.commands.evaluation.drift import drift
from sithctl.commands.evaluation.effect import effect

app = typer.Typer(
    name="eval",
    no_args_is_help=True,
    help="Measure explanations and edits, each figure beside what chance gives.",
    epilog="Start with: sithctl eval coherence codes.h5",
)

# In the order of the manual.
TASKS: tuple[Callable[..., None], ...] = (effect, drift)

for _task in TASKS:
    app.command(_task.__name__.replace("_", "-"))(command(_task, "eval"))
