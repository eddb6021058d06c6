"""``sithctl mean``: images to the mean of their features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sithctl.commands import completion, ranks
from sithctl.commands.common import command, source_or_pipe
from sithctl.commands.image_options import (
    IMAGES_HELP,
    WANTED,
    ImageColumnOpt,
    LimitOpt,
    SeedOpt,
    SplitOpt,
    StreamingOpt,
    StrictOpt,
    open_source,
    refuse_options,
)
from sithctl.commands.instead import is_text
from sithctl.commands.options import (
    DeviceOpt,
    DtypeOpt,
    EncodeBatchOpt,
    ForceOpt,
    HistoryDetail,
    HistoryOpt,
    ModelOpt,
    OutOpt,
    Precision,
    ShardOpt,
    named_model,
)
from sithctl.errors import InputError, UsageError

SourceArg = Annotated[
    str | None,
    typer.Argument(
        help=f"An image pool, or images: {IMAGES_HELP}; scenes is rendered.",
        autocompletion=completion.pictures,
    ),
]
EmbeddingOpt = Annotated[
    Path | None,
    typer.Option(
        "--embedding",
        help="A ready vector (npy, safetensors, pt).",
        autocompletion=completion.embeddings,
    ),
]


FORWARD = ("device", "dtype", "batch_size", "shard")  # of a model's forward pass


@command
def mean(
    context: typer.Context,
    source: SourceArg = None,
    model: ModelOpt = None,
    embedding: EmbeddingOpt = None,
    split: SplitOpt = None,
    image_column: ImageColumnOpt = "image",
    streaming: StreamingOpt = False,
    limit: LimitOpt = None,
    seed: SeedOpt = 0,
    strict: StrictOpt = False,
    device: DeviceOpt = "cpu",
    dtype: DtypeOpt = Precision.float32,
    batch_size: EncodeBatchOpt = 64,
    shard: ShardOpt = None,
    output: OutOpt = None,
    force: ForceOpt = False,
    history: HistoryOpt = HistoryDetail.plain,
) -> None:
    """Take the mean of unit-norm image features: what all images of the model share.

    A run that was killed goes on where it was when the same command is given again. torchrun
    shares the work out to its processes, --shard to machines.

    Example: sithctl mean scenes --limit 256 -o mean.h5
    """
    from sithctl.commands.writing import check_target, write

    if source is not None and embedding is not None:
        todo = "give either SOURCE or --embedding"
        raise UsageError("images and a ready vector", source, todo)
    if embedding is not None:
        refuse_options(context, (*WANTED, *FORWARD), str(embedding), "a ready vector")
        check_target(output, force)
        from sithctl.sources.embeddings import read_embeddings
        from sithctl.stages.mean import ready_mean

        write(ready_mean(read_embeddings(embedding, 1), model=model), output, history)
        return
    from sithctl.sources.open import is_images
    from sithctl.stages.mean import ImageMean
    from sithctl.stages.mean import mean as stage

    named = source_or_pipe(source, context)
    ranks.refuse_pipe(named)
    if named != "-" and is_text(Path(named)):
        raise InputError("a text, not images", named, "give a folder of images, or a data set")
    if named == "-" or (Path(named).is_file() and not is_images(named)):
        refuse_options(context, (*WANTED, *FORWARD, "model"), named, "a pool, encoded already")
        check_target(output, force)
        from sithctl.artifacts import load
        from sithctl.kinds import Pool

        write(stage(load(named, Pool)), output, history)
        return
    from sithctl.commands.work import encode
    from sithctl.models import load_encoder
    from sithctl.views.console import output as console

    check_target(output, force)
    images = open_source(named, context, captions=False)
    with console.working("loading the model"):
        own = ranks.device(device)
        encoder = load_encoder(named_model(model), own, dtype=dtype.value, batch_size=batch_size)
    with console.progress("encoding images") as tell:
        encode(ImageMean(images, encoder, tell), "mean", context, images)
