"""The command line: registers the commands and nothing else."""

from __future__ import annotations

from typing import Annotated

import typer

from sithctl._version import __version__
from sithctl.commands.decompose import decompose
from sithctl.commands.encode_pool import encode_pool
from sithctl.commands.explain import explain
from sithctl.commands.fold import fold
from sithctl.commands.info import info
from sithctl.commands.mean import mean
from sithctl.commands.svd import svd

app = typer.Typer(
    name="sithctl",
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


for _command in (fold, svd, encode_pool, mean, decompose, explain, info):
    app.command(_command.__name__.replace("_", "-"))(_command)


def main() -> None:
    app()
