"""The commands by name: a module is loaded when its command is called, so that help and completion
come at once."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# Name, module, and the first paragraph of its help; a test holds them to the modules' own.
COMMANDS: dict[str, tuple[str, str]] = {
    "fold": (
        "fold",
        "Fold a model's weights into the value-output matrices of its heads.",
    ),
    "svd": (
        "svd",
        "Decompose every head's value-output matrix into singular vectors.",
    ),
    "encode-pool": (
        "encode_pool",
        "Encode concepts, or captioned images, with the model's own towers into a concept pool.",
    ),
    "mean": (
        "mean",
        "Take the mean of unit-norm image features: what all images of the model share.",
    ),
    "decompose": (
        "decompose",
        "Explain singular vectors as sparse, non-negative combinations of concepts.",
    ),
    "merge": (
        "merge",
        "Join the parts that encode-pool, mean or decompose made with --shard.",
    ),
    "explain": (
        "explain",
        "Show what heads mean: each singular vector's concepts, for both of its signs.",
    ),
    "find": (
        "find",
        "Find the vectors, of all layers and heads, that are about some words.",
    ),
    "edit": (
        "edit",
        "Scale singular values, and write a normal checkpoint.",
    ),
    "judge": (
        "judge",
        "Score every explanation from 1 to 5 for a question, by a language model or by similarity.",
    ),
    "eval": (
        "evaluation.app",
        "Measure explanations and edits, each figure beside what chance gives.",
    ),
    "reproduce": (
        "reproduce",
        "Do an experiment of the paper on the bundled model, beside its figures and with controls.",
    ),
    "models": (
        "models",
        "List the model families that can be folded, and what each supports.",
    ),
    "info": (
        "info",
        "Say what a file holds: kind, model, shapes, and the stages it came through.",
    ),
}


class Registry(TyperGroup):
    """A group whose commands are stubs until one of them is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What lists of commands show: a name and a line."""
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1])

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _load_help()
        super().format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called, by its module."""
        if args and args[0] not in COMMANDS:  # Typer looks here for what was meant
            self.commands = {known: self.get_command(ctx, known) for known in COMMANDS}
        name, stub, rest = super().resolve_command(ctx, args)
        return name, stub and load(str(name)), rest


def _load_help() -> None:
    """Load Typer's help without what it would render Markdown by: a third of the time, for what no
    help of ours is written in."""
    if "typer.rich_utils" in sys.modules or "rich.markdown" in sys.modules:
        return
    stand_in: Any = ModuleType("rich.markdown")
    stand_in.Markdown = type("Markdown", (), {})
    sys.modules["rich.markdown"] = stand_in
    try:
        import typer.rich_utils  # noqa: F401
    finally:
        del sys.modules["rich.markdown"]


def load(name: str) -> Any:
    """The command of a name, whole."""
    module = import_module(f"sithctl.commands.{COMMANDS[name][0]}")
    group = getattr(module, "app", None)
    if group is not None:
        return typer.main.get_command(group)
    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    one.command(name)(getattr(module, name.replace("-", "_")))
    return typer.main.get_command(one)
