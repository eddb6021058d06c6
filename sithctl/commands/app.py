"""The command line: its own options, and how every command ends."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from sithctl._version import __version__
from sithctl.commands.registry import Registry
from sithctl.views.plain import prepare

app = typer.Typer(
    name="sithctl",
    cls=Registry,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Read what the attention heads of a Vision Transformer mean from its weights alone.",
    epilog="Start with: sithctl explain --layer 5 --head 2",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sithctl {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None: ...


def main() -> None:
    """Run, and end as every command ends: an error is one line, whoever found it."""
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
