"""The command line: its own options, and how every command ends."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from sithctl._version import __version__
from sithctl.commands.registry import Registry
from sithctl.views.plain import prepare

# What torch reads when it is loaded. Large pages save a tenth of the pursuit's time; threads that
# spin for microseconds, not milliseconds, nine tenths of it where others are at work on the cores.
TORCH = {"THP_MEM_ALLOC_ENABLE": "1", "GOMP_SPINCOUNT": "1000"}

app = typer.Typer(
    name="sithctl",
    cls=Registry,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Read what the attention heads of a Vision Transformer mean from its weights alone.",
    epilog="Start with: sithctl explain --layer 5 --head 2",
)


def _version(context: typer.Context, asked: bool) -> None:
    """Not eager, so that --verbose is known wherever it stands."""
    verbose = context.params.get("verbose")
    if verbose and not asked and not context.resilient_parsing:
        raise typer.BadParameter("goes with --version", context, param_hint="--verbose")
    if not asked:
        return
    typer.echo(f"sithctl {__version__}")
    if verbose:
        from sithctl.commands.surroundings import surroundings

        for name, text in surroundings().items():
            typer.echo(f"{name:<16} {text}")
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, help="Print the version."),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", is_eager=True, help="With it, all that a bug report needs."),
    ] = False,
) -> None: ...


def main() -> None:
    """Run, and end as every command ends: an error is one line, whoever found it."""
    for name, value in TORCH.items():
        os.environ.setdefault(name, value)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that temporary files are removed
    prepare(sys.stdout, sys.stderr)
    if not sys.argv[1:]:
        sys.argv.append("--help")
    try:
        code = app(standalone_mode=False, prog_name="sithctl")
    except Exception as error:
        # Typer's usage errors; their class is that of a private copy of Click.
        if not hasattr(error, "format_message"):
            raise
        from sithctl.views.console import output

        context = getattr(error, "ctx", None)
        stage = "" if context is None else context.command_path.partition(" ")[2]
        todo = f"see `sithctl {stage} --help`".replace("  ", " ")
        output.error(stage, f"{error.format_message().rstrip('.')}: {todo}")
        code = 2
    sys.exit(code)
