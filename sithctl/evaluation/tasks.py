"""The tasks of ``eval`` by name, loaded when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sithctl.errors import InputError

if TYPE_CHECKING:
    from sithctl.evaluation.results import Evaluation

TASKS: tuple[str, ...] = (
    "fidelity",
    "coherence",
    "agreement",
    "trust",
    "effect",
    "zero-shot",
    "retrieval",
    "drift",
)


def evaluate(task: str, *inputs: Any, **options: Any) -> Evaluation:
    """Measure explanations or an edit.

    Args:
        task: one of ``TASKS``; ``zero-shot`` is the function ``zero_shot`` of
            ``sithctl.evaluation.zero_shot``, and so on.
        inputs: what the task measures: codes, heads, a model's name.
        options: of that function.

    Raises:
        InputError: there is no such task.
    """
    if task not in TASKS:
        raise InputError(f"no task {task}", None, f"one of {', '.join(TASKS)}")
    name = task.replace("-", "_")
    result: Evaluation = getattr(import_module(f"sithctl.evaluation.{name}"), name)(
        *inputs, **options
    )
    return result
