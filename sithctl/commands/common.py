"""What every command shares: where its words go, how it fails, where its input comes from."""

from __future__ import annotations

import inspect
import os
import stat
import sys
import warnings
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sithctl.commands import ranks
from sithctl.errors import SithctlError, UsageError
from sithctl.views.console import output

Chosen = TypeVar("Chosen", bound=StrEnum)
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")]


SPLIT = frozenset({"encode_pool", "mean", "decompose"})  # commands that torchrun's ranks share


def command(function: Callable[..., None], group: str = "") -> Callable[..., None]:
    """Give a command ``--quiet`` and ``--debug``, and turn its failures into one line and an exit
    code. ``group`` stands before its name in errors."""
    splits = function.__name__ in SPLIT and not group
    stage = f"{group} {function.__name__.strip('_').replace('_', '-')}".strip()
    signature = inspect.signature(function, eval_str=True)
    shared = {"quiet": Quiet, "debug": Debug}
    extra = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in shared.items()
    ]

    @wraps(function)
    def run(*args: Any, quiet: bool = False, debug: bool = False, **kwargs: Any) -> None:
        output.quiet, output.debug = quiet, debug
        context = kwargs.get("context")
        if context is not None:  # whose own are still words, where ours are enums and paths
            context.params.update({k: v for k, v in kwargs.items() if k in context.params})

        def work() -> None:
            with ranks.together(splits):
                function(*args, **kwargs)

        _guarded(stage, work)

    parameters = [*signature.parameters.values(), *extra]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__doc__ = _flowing(inspect.getdoc(function) or "")
    del run.__wrapped__
    return run


def _flowing(text: str) -> str:
    """Each paragraph on one line, for the terminal to break where it ends; a block that begins with
    \\b stands as it is.

    >>> _flowing("One\\ntwo.\\n\\nThree.")
    'One two.\\n\\nThree.'
    """
    blocks = text.split("\n\n")
    return "\n\n".join(b if b.startswith("\b") else b.replace("\n", " ") for b in blocks)


def _guarded(stage: str, work: Callable[[], None]) -> None:
    """Run a command; what fails ends in one line on standard error and its exit code."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", module=r"sithctl\.")
            work()
        for warning in caught:
            output.note(f"note: {warning.message}")
    except BrokenPipeError:
        # The reader has closed, as `head` does: end as quietly as other filters.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(141) from None  # as a shell has it of what SIGPIPE ends
    except KeyboardInterrupt as error:
        output.error(stage, str(error) or "interrupted")
        raise typer.Exit(130) from None
    except (typer.Exit, typer.Abort):
        raise
    except SithctlError as error:
        if output.debug:
            raise
        output.error(stage, str(error))
        raise typer.Exit(error.exit_code) from None
    except Exception as error:
        if output.debug:
            raise
        output.error(stage, f"{type(error).__name__}: {error}: run again with --debug for details")
        raise typer.Exit(1) from None


def is_given(context: typer.Context, parameter: str) -> bool:
    """Whether the user named an option, rather than its default standing."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


SUFFIXES = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".md": "markdown",
    ".html": "html",
}


def format_by_suffix(context: typer.Context, formats: type[Chosen]) -> Chosen:
    """``--format``, or what the suffix of ``-o`` says where it was not given.

    Raises:
        UsageError: the suffix is of a format that the command does not have.
    """
    chosen, target = context.params["format"], context.params["output"]
    named = SUFFIXES.get(Path(target or "").suffix.lower())
    if named is None or is_given(context, "format"):
        return formats(chosen)
    if named not in list(formats):
        raise UsageError(f"no {named} here", target, f"--format {' or '.join(formats)}")
    context.params["format"] = formats(named)
    return formats(named)


def stdin_has_data() -> bool:
    """Whether standard input is a pipe or a regular file: not a terminal, a device, or closed."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def source_or_pipe(source: str | None, context: typer.Context) -> str:
    """The named input, or ``-`` where standard input can be one.

    Raises:
        UsageError: neither; the command's usage is printed.
    """
    if source is not None:
        return source
    if stdin_has_data():
        return "-"
    typer.echo(context.get_usage(), err=True)
    raise UsageError("no input", None, "name a file, or pipe one in")


def deliver(text: str, target: str | None) -> None:
    """Print a text, or write it to the file that was asked for."""
    from sithctl.artifacts.streams import writable

    if target in (None, "-"):
        output.text(text)
        return
    with writable(target) as path:
        path.write_text(text, encoding="utf-8")
