"""``sithctl mean``: images to the mean of their features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sithctl.commands.common import command
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
    named_model,
)
from sithctl.errors import UsageError

SourceArg = Annotated[
    str | None,
    typer.Argument(
        help="A folder of images, a data set on disk, an image pool, or scenes (rendered)."
    ),
]
EmbeddingOpt = Annotated[
    Path | None, typer.Option("--embedding", help="A ready vector (npy, safetensors, pt).")
]
SplitOpt = Annotated[str | None, typer.Option("--split", help="Of a data set.")]
ColumnOpt = Annotated[str, typer.Option("--image-column", help="Of a data set.")]
LimitOpt = Annotated[int | None, typer.Option("--limit", min=1, help="So many images at most.")]
SeedOpt = Annotated[int, typer.Option("--seed", help="Of the rendered scenes.")]


@command
def mean(
    source: SourceArg = None,
    model: ModelOpt = None,
    embedding: EmbeddingOpt = None,
    split: SplitOpt = None,
    image_column: ColumnOpt = "image",
    limit: LimitOpt = None,
    seed: SeedOpt = 0,
    device: DeviceOpt = "cpu",
    dtype: DtypeOpt = Precision.float32,
    batch_size: EncodeBatchOpt = 64,
    output: OutOpt = None,
    force: ForceOpt = False,
    history: HistoryOpt = HistoryDetail.plain,
) -> None:
    """Take the mean of unit-norm image features: what all images of the model share.

    Example: sithctl mean photos/ --model ./clip -o mean.h5
    """
    from sithctl.artifacts.streams import check_target
    from sithctl.commands.writing import write

    if (source is None) == (embedding is None):
        raise UsageError(
            "no images" if source is None else "images and a ready vector",
            None,
            "give either SOURCE or --embedding",
        )
    check_target(output, force)
    if embedding is not None:
        from sithctl.sources.embeddings import read_embeddings
        from sithctl.stages.mean import ready_mean

        write(ready_mean(read_embeddings(embedding, 1), model=model), output, history)
        return
    from sithctl.stages.mean import mean as stage

    if source == "-" or Path(str(source)).is_file():
        from sithctl.artifacts import load
        from sithctl.kinds import Pool

        write(stage(load(str(source), Pool)), output, history)
        return
    from sithctl.models import load_encoder
    from sithctl.sources.images import open_images
    from sithctl.views.console import output as console

    images = open_images(str(source), split=split, column=image_column, limit=limit, seed=seed)
    with console.working("loading the model"):
        encoder = load_encoder(named_model(model), device, dtype=dtype.value, batch_size=batch_size)
    with console.progress("encoding images") as tell:
        result = stage(images, encoder, progress=lambda done, _: tell(done, images.count))
    if images.skipped:
        console.note(
            f"note: {len(images.skipped)} of {images.count} images could not be read and were "
            f"skipped, the first: {images.skipped[0]}"
        )
    write(result, output, history)
