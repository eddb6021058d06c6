"""``sithctl encode-pool``: concepts to embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sithctl.commands.common import command, is_given, source_or_pipe
from sithctl.commands.image_options import (
    BATCH,
    IMAGES_HELP,
    WANTED,
    CaptionColumnOpt,
    DetailColumnOpt,
    IdColumnOpt,
    ImageColumnOpt,
    LimitOpt,
    SeedOpt,
    SplitOpt,
    StreamingOpt,
    StrictOpt,
    ThumbnailsOpt,
    note_skipped,
    open_source,
    refuse_options,
)
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
    Storage,
    named_model,
)
from sithctl.errors import UsageError

if TYPE_CHECKING:
    from sithctl.kinds import Factors, Pool

SourceArg = Annotated[
    str | None,
    typer.Argument(
        help="A concept a line; - is a pipe; scenes is the bundled list. "
        f"Or captioned images: {IMAGES_HELP}."
    ),
]
FactorsOpt = Annotated[
    Path | None,
    typer.Option("--factors", help="Tab-separated: concept, then the factor values it names."),
]
EmbeddingsOpt = Annotated[
    Path | None,
    typer.Option("--embeddings", help="Ready embeddings (npy, safetensors, pt), no encoding."),
]
ConceptsOpt = Annotated[
    str | None, typer.Option("--concepts", help="Labels of --embeddings, one a line.")
]
StoreOpt = Annotated[Storage, typer.Option("--store", help="Type of the stored embeddings.")]


@command
def encode_pool(
    context: typer.Context,
    source: SourceArg = None,
    model: ModelOpt = None,
    factors: FactorsOpt = None,
    embeddings: EmbeddingsOpt = None,
    concepts: ConceptsOpt = None,
    split: SplitOpt = None,
    image_column: ImageColumnOpt = "image",
    caption_column: CaptionColumnOpt = None,
    detail_column: DetailColumnOpt = None,
    id_column: IdColumnOpt = None,
    streaming: StreamingOpt = False,
    limit: LimitOpt = None,
    seed: SeedOpt = 0,
    strict: StrictOpt = False,
    no_thumbnails: ThumbnailsOpt = False,
    store: StoreOpt = Storage.float32,
    device: DeviceOpt = "cpu",
    dtype: DtypeOpt = Precision.float32,
    batch_size: EncodeBatchOpt = 256,
    output: OutOpt = None,
    force: ForceOpt = False,
    history: HistoryOpt = HistoryDetail.plain,
) -> None:
    """Encode concepts, or captioned images, with the model's own towers into a concept pool.

    Captions lie in a folder's metadata.csv or .jsonl, in captions.txt (file name, tab, caption) or
    in a .txt beside each image; in a data set's column; in a tar's .txt or .json members.
    Images pass 64 at a time unless --batch-size says otherwise.

    Example: sithctl encode-pool words.txt --model ./clip -o pool.h5
    """
    from sithctl.artifacts.streams import check_target
    from sithctl.commands.writing import write
    from sithctl.sources.open import is_images

    if (embeddings is None) != (concepts is None):
        raise UsageError("--embeddings and --concepts go together", None, "give both or neither")
    if embeddings is not None and source is not None:
        raise UsageError("--embeddings leaves no SOURCE to encode", source, "give one of the two")
    if embeddings is None and source is not None and is_images(source):
        refuse_options(context, ("factors",), source, "images, not a list of words")
        check_target(output, force)
        write(_image_pool(source, context), output, history)
        return
    refuse_options(context, (*WANTED, "no_thumbnails"), source or "-", "words, not images")
    labels_from = concepts if concepts is not None else source_or_pipe(source, context)
    check_target(output, force)
    labels, known = _labels(labels_from, factors, ready=embeddings is not None)
    if embeddings is not None:
        from sithctl.sources.embeddings import read_embeddings
        from sithctl.stages.pool import ready_pool

        pool = ready_pool(read_embeddings(embeddings, 2), labels, model=model, factors=known)
        write(pool, output, history)
        return
    from sithctl.models import load_encoder
    from sithctl.stages.pool import encode_pool as stage
    from sithctl.views.console import output as console

    with console.working("loading the model"):
        encoder = load_encoder(named_model(model), device, dtype=dtype.value, batch_size=batch_size)
    with console.progress("encoding concepts") as tell:
        pool = stage(labels, encoder, factors=known, dtype=store.value, progress=tell)
    write(pool, output, history)


def _image_pool(source: str, context: typer.Context) -> Pool:
    from sithctl.views.console import output as console

    given = context.params
    images = open_source(source, context, captions=True)
    with console.working("loading the model"):
        from sithctl.models import load_encoder
        from sithctl.stages.pool import encode_pool as stage

        encoder = load_encoder(
            named_model(given["model"]),
            given["device"],
            dtype=given["dtype"].value,
            batch_size=given["batch_size"] if is_given(context, "batch_size") else BATCH,
        )
    with console.progress("encoding images") as tell:
        pool = stage(
            images,
            encoder,
            dtype=given["store"].value,
            thumbnails=not given["no_thumbnails"],
            progress=tell,
        )
    note_skipped(images.skipped, len(pool.concepts))
    return pool


def _labels(
    source: str, factors: Path | None, *, ready: bool
) -> tuple[list[str], list[Factors] | None]:
    from sithctl.sources.concepts import read_concepts, read_factors, read_labels

    if source == "scenes" and factors is None:
        from sithctl.scenes.bundled import bundled_concepts

        return bundled_concepts()
    labels = read_labels(source) if ready else read_concepts(source)
    return labels, read_factors(factors, labels) if factors is not None else None
