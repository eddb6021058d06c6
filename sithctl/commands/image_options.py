"""Options of commands that read images, and what they ask of a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sithctl.commands.common import is_given
from sithctl.errors import UsageError
from sithctl.views.console import output

if TYPE_CHECKING:
    from sithctl.sources.images import Images

IMAGES_HELP = (
    "a folder, a data set (on disk, Parquet files, or hf:NAME on the hub), WebDataset tars, "
    "scenes:images, recap-coco, lvis-gpt4v"
)
BATCH = 64  # pictures at a time unless told: as many as of texts would fill the memory

SplitOpt = Annotated[str | None, typer.Option("--split", help="Of a data set.")]
ImageColumnOpt = Annotated[
    str, typer.Option("--image-column", help="Of a data set: images, or their web addresses.")
]
CaptionColumnOpt = Annotated[
    str | None,
    typer.Option(
        "--caption-column", help="Of a data set or metadata file, or a key of a tar's .json."
    ),
]
DetailColumnOpt = Annotated[
    str | None, typer.Option("--detail-column", help="A second, longer caption to keep.")
]
IdColumnOpt = Annotated[
    str | None,
    typer.Option("--id-column", help="Of a data set; default image_id, id, file_name or the row."),
]
StreamingOpt = Annotated[
    bool, typer.Option("--streaming", help="Read a data set of the hub as it arrives.")
]
LimitOpt = Annotated[
    int | None, typer.Option("--limit", min=1, help="So many images at most, for a trial.")
]
SeedOpt = Annotated[int, typer.Option("--seed", help="Of the rendered scenes.")]
StrictOpt = Annotated[
    bool, typer.Option("--strict", help="Stop at an unreadable image, not skip it.")
]
ThumbnailsOpt = Annotated[
    bool, typer.Option("--no-thumbnails", help="Keep no small JPEGs of the images.")
]

ALWAYS = ("limit", "strict")  # what every source of images uses
WANTED = (
    "limit",
    "strict",
    "split",
    "image_column",
    "caption_column",
    "detail_column",
    "id_column",
    "streaming",
    "seed",
)


def open_source(source: str, context: typer.Context, *, captions: bool) -> Images:
    """The images of a source, as this command's options want them.

    Raises:
        UsageError: an option was given that changes nothing of this source.
    """
    (images,) = open_sources([source], context, captions=captions)
    return images


def open_sources(
    sources: Sequence[str], context: typer.Context, *, idle: Sequence[str] = (), **wanted: Any
) -> list[Images]:
    """The images of several sources, as this command's options and ``wanted`` want them.

    Args:
        sources: by name.
        context: of the command.
        idle: options that need not change anything of the sources.
        wanted: fields of ``Wanted`` that are no options.

    Raises:
        UsageError: an option was given that changes nothing of any of them.
    """
    from sithctl.sources.images import Wanted
    from sithctl.sources.open import open_images

    asked = {name: context.params[name] for name in WANTED if name in context.params}
    opened = [open_images(source, Wanted(**asked, **wanted)) for source in sources]
    used = {*ALWAYS, *idle}.union(*(images.uses for images in opened))
    unused = tuple(name for name in WANTED if name not in used)
    refuse_options(context, unused, sources[0], "a source that has no use for an option")
    return opened


def refuse_options(context: typer.Context, names: tuple[str, ...], source: str, why: str) -> None:
    """Refuse options that have nothing to do for this source."""
    given = [f"--{name.replace('_', '-')}" for name in names if is_given(context, name)]
    if given:
        raise UsageError(why, source, f"leave out {', '.join(given)}")


def note_skipped(skipped: Sequence[tuple[str, str]], read: int) -> None:
    """Say how many images were left out, and what ailed the first."""
    if skipped:
        name, reason = skipped[0]
        output.note(
            f"note: {len(skipped)} of {len(skipped) + read} images could not be read and were "
            f"skipped, the first: {name} ({reason})"
        )
