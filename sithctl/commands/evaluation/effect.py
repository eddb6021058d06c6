"""``sithctl eval effect``: ablate vectors in the running model, look along explanations."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sithctl.commands import completion
from sithctl.commands.common import source_or_pipe
from sithctl.commands.evaluation.showing import EvalSeedOpt, Format, FormatOpt, check_report, show
from sithctl.commands.image_options import (
    IMAGES_HELP,
    ImageColumnOpt,
    SplitOpt,
    StreamingOpt,
    StrictOpt,
    note_skipped,
    open_sources,
)
from sithctl.commands.options import (
    DeviceOpt,
    DtypeOpt,
    EncodeBatchOpt,
    ForceOpt,
    HeadOpt,
    LayerOpt,
    ModelArg,
    OutOpt,
    Precision,
    SvOpt,
    TopOpt,
)
from sithctl.errors import UsageError

if TYPE_CHECKING:
    from sithctl.models.encoders import Batch, Encoder
    from sithctl.sources.images import Images


class Group(StrEnum):
    vector = "vector"
    head = "head"


CodesArg = Annotated[
    str | None,
    typer.Argument(
        help="Its codes from `sithctl decompose`; - or nothing is a pipe.",
        autocompletion=completion.codes,
    ),
]
DataOpt = Annotated[
    str | None,
    typer.Option(
        "--data",
        help=f"Images: {IMAGES_HELP}. scenes:images for bundled models.",
        autocompletion=completion.pictures,
    ),
]
GroupOpt = Annotated[
    Group, typer.Option("--group", help="Ablate each vector, or a head's vectors at once.")
]
PicturesOpt = Annotated[int, typer.Option("--limit", min=1, help="So many images at most.")]
DrawsOpt = Annotated[int, typer.Option("--draws", min=1, help="Random directions to compare with.")]


def effect(
    context: typer.Context,
    model: ModelArg = "scenes",
    codes: CodesArg = None,
    data: DataOpt = None,
    layer: LayerOpt = None,
    head: HeadOpt = None,
    sv: SvOpt = None,
    top: TopOpt = None,
    group: GroupOpt = Group.vector,
    limit: PicturesOpt = 128,
    draws: DrawsOpt = 200,
    split: SplitOpt = None,
    image_column: ImageColumnOpt = "image",
    streaming: StreamingOpt = False,
    strict: StrictOpt = False,
    device: DeviceOpt = "cpu",
    dtype: DtypeOpt = Precision.float32,
    batch_size: EncodeBatchOpt = 64,
    format: FormatOpt = Format.table,  # noqa: A002 (the option's name)
    output: OutOpt = None,
    force: ForceOpt = False,
    seed: EvalSeedOpt = 0,
) -> None:
    """Check explanations by their cause: set σ to 0, and see what features lose.

    Every vector chosen is ablated in the running model, and the change of image features measured
    along its explanation's direction, against random directions of the same coefficients on other
    concepts, and against the explanations of the other vectors. Which pole a head writes depends on
    what it reads: the larger of both poles' counts, for random directions, too.

    One forward pass of the images for each vector: choose with --layer, --head, --sv and --top.

    Example: sithctl eval effect scenes codes.h5 --layer 5 --top 1 --limit 32
    """
    from sithctl.artifacts import load
    from sithctl.evaluation.effect import check_measurable
    from sithctl.evaluation.effect import effect as task
    from sithctl.kinds import Codes
    from sithctl.models import load_encoder, open_model
    from sithctl.stages.ownership import check_codes
    from sithctl.views.console import output as console

    if codes is None and Path(model).suffix == ".h5":  # CODES alone
        model, codes = "scenes", model
    source = _data(model, data)
    check_report(output, force)
    opened, found = open_model(model), load(source_or_pipe(codes, context), Codes)
    check_measurable(found)
    check_codes(found, opened)  # before the model is loaded for them
    (images,) = open_sources([source], context, idle=("seed",))
    with console.working("loading the model"):
        encoder = load_encoder(model, device, dtype=dtype.value, batch_size=batch_size)
    pictures = _prepared(images, encoder)
    chosen = {"layer": layer, "head": head, "sv": sv, "top": top}
    with console.progress("ablating") as tell:
        result = task(
            opened,
            found,
            encoder,
            pictures,
            **chosen,  # type: ignore[arg-type]
            group=group.value,
            draws=draws,
            seed=seed,
            progress=tell,
        )
    show(result, format, output)


def _data(model: str, data: str | None) -> str:
    from sithctl.models.locate import BUNDLED

    if data is None and model not in BUNDLED:
        raise UsageError("no images", None, "name some with --data")
    return data or "scenes:images"


def _prepared(images: Images, encoder: Encoder) -> list[Batch]:
    """The images as the model takes them, each read and prepared once."""
    from sithctl.views.console import output as console

    pictures: list[Batch] = []
    with console.progress("reading images") as tell:
        for item in images:
            pictures.append(encoder.prepare(item.image))
            tell(len(pictures), images.count)
    note_skipped(images.left_out, len(pictures))
    return pictures
