"""Options of tasks that run models on pictures, one or two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sithctl.commands import completion
from sithctl.commands.common import is_given
from sithctl.commands.image_options import IMAGES_HELP, open_sources
from sithctl.errors import UsageError

if TYPE_CHECKING:
    from sithctl.models import Encoder
    from sithctl.sources.images import Images

ENDLESS = 1000  # rendered scenes where no --limit is given

DataOpt = Annotated[
    str,
    typer.Option(
        "--data",
        "-d",
        help=f"Pictures: {IMAGES_HELP}; a .csv that lists files beside it; scenes is rendered, "
        "also scenes:spurious, scenes:safe, scenes:hazard.",
        autocompletion=completion.pictures,
    ),
]
AgainstOpt = Annotated[
    str | None,
    typer.Option(
        "--against",
        help="A base to compare with, as the model before an edit.",
        autocompletion=completion.models,
    ),
]
MaxDropOpt = Annotated[
    float | None,
    typer.Option(
        "--max-drop", min=0.0, help="Exit 4 where a figure is lower than --against's by more."
    ),
]
SeedOpt = Annotated[
    int, typer.Option("--seed", min=0, help="Of the bootstrap and of rendered scenes.")
]


def pictures(sources: list[str], context: typer.Context, **wanted: bool) -> list[Images]:
    """The sources opened as this command's options want them; ``--seed`` is never useless here."""
    return open_sources(sources, context, idle=("seed",), endless=ENDLESS, **wanted)


def models(context: typer.Context, model: str) -> list[Encoder]:
    """The model, and the base that it is compared with where there is one.

    Raises:
        UsageError: --max-drop without a base.
    """
    given = context.params
    if is_given(context, "max_drop") and given["against"] is None:
        todo = "name the model to compare with by --against"
        raise UsageError("--max-drop allows a drop from nothing", None, todo)
    from sithctl.views.console import output

    with output.working("loading the model"):
        from sithctl.evaluation.seen import with_words
        from sithctl.models import load_encoder

        options = {"dtype": given["dtype"].value, "batch_size": given["batch_size"]}
        names = [model] if given["against"] is None else [model, given["against"]]
        return with_words(*(load_encoder(name, given["device"], **options) for name in names))
