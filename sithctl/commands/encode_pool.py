"""``sithctl encode-pool``: concepts to embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sithctl.commands import completion, ranks
from sithctl.commands.common import command, is_given, source_or_pipe
from sithctl.commands.image_options import (
    BATCH,
    WANTED,
    CaptionColumnOpt,
    DetailColumnOpt,
    IdColumnOpt,
    ImageColumnOpt,
    SeedOpt,
    SplitOpt,
    StreamingOpt,
    StrictOpt,
    ThumbnailsOpt,
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
    ShardOpt,
    Storage,
    named_model,
)
from sithctl.commands.text_options import (
    CHOOSING,
    ExcludeOpt,
    FactorsOpt,
    MaxWordsOpt,
    MinWordsOpt,
    SourcesArg,
    TemplateOpt,
    choose_texts,
)
from sithctl.errors import UsageError

if TYPE_CHECKING:
    from sithctl.kinds import Factors, Pool
    from sithctl.models import Encoder

EmbeddingsOpt = Annotated[
    Path | None,
    typer.Option(
        "--embeddings",
        help="Ready embeddings (npy, safetensors, pt), no encoding.",
        autocompletion=completion.embeddings,
    ),
]
ConceptsOpt = Annotated[
    str | None,
    typer.Option(
        "--concepts",
        help="Labels of --embeddings, one a line.",
        autocompletion=completion.texts,
    ),
]
StoreOpt = Annotated[Storage, typer.Option("--store", help="Type of the stored embeddings.")]
EncodeLimitOpt = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="So many concepts or images at most, for a trial."),
]
IMAGES_ALONE = (*(name for name in WANTED if name != "limit"), "no_thumbnails")
ENCODING = (*CHOOSING, *IMAGES_ALONE, "limit", "shard")


@command
def encode_pool(
    context: typer.Context,
    sources: SourcesArg = None,
    model: ModelOpt = None,
    template: TemplateOpt = None,
    exclude: ExcludeOpt = None,
    min_words: MinWordsOpt = None,
    max_words: MaxWordsOpt = None,
    factors: FactorsOpt = None,
    embeddings: EmbeddingsOpt = None,
    concepts: ConceptsOpt = None,
    split: SplitOpt = None,
    image_column: ImageColumnOpt = "image",
    caption_column: CaptionColumnOpt = None,
    detail_column: DetailColumnOpt = None,
    id_column: IdColumnOpt = None,
    streaming: StreamingOpt = False,
    limit: EncodeLimitOpt = None,
    seed: SeedOpt = 0,
    strict: StrictOpt = False,
    no_thumbnails: ThumbnailsOpt = False,
    store: StoreOpt = Storage.float32,
    device: DeviceOpt = "cpu",
    dtype: DtypeOpt = Precision.float32,
    batch_size: EncodeBatchOpt = 256,
    shard: ShardOpt = None,
    output: OutOpt = None,
    force: ForceOpt = False,
    history: HistoryOpt = HistoryDetail.plain,
) -> None:
    """Encode concepts, or captioned images, with the model's own towers into a concept pool.

    With --template, a concept's embedding is the mean of its unit-norm embeddings in all templates;
    its label stays the concept.

    Captions lie in a folder's metadata.csv or .jsonl, in captions.txt (file name, tab, caption) or
    in a .txt beside each image; in a data set's column; in a tar's .txt or .json members.
    Images pass 64 at a time unless --batch-size says otherwise.

    A run that was killed goes on where it was when the same command is given again. torchrun
    shares the work out to its processes, --shard to machines.

    Example: sithctl encode-pool scenes --max-words 2 -o pool.h5
    """
    from sithctl.commands.writing import check_target, write
    from sithctl.sources.open import is_images

    if (embeddings is None) != (concepts is None):
        raise UsageError("--embeddings and --concepts go together", None, "give both or neither")
    if embeddings is not None and concepts is not None:
        if sources:
            todo = "give either SOURCE or --embeddings"
            raise UsageError("--embeddings leaves no SOURCE to encode", sources[0], todo)
        refuse_options(
            context,
            (*CHOOSING, *IMAGES_ALONE, "limit", "shard"),
            str(embeddings),
            "ready embeddings",
        )
        check_target(output, force)
        write(_ready(embeddings, concepts, factors, model), output, history)
        return
    named = sources or [source_or_pipe(None, context)]
    for name in named:
        ranks.refuse_pipe(name)
    images = [source for source in named if is_images(source)]
    if images and len(named) > 1:
        raise UsageError("several sources, and images among them", images[0], "give it alone")
    if images:
        refuse_options(context, ("factors", *CHOOSING), images[0], "images, not a list of words")
        check_target(output, force)
        _image_pool(images[0], context)
        return
    refuse_options(context, IMAGES_ALONE, named[0], "words, not images")
    check_target(output, force)
    _text_pool(named, context)


def _text_pool(sources: list[str], context: typer.Context) -> None:
    from sithctl.commands.work import encode
    from sithctl.stages.text_pool import TextPool, check_templates
    from sithctl.views.console import output as console

    given = context.params
    templates = given["template"] or []
    check_templates(templates)
    lengths = (given["min_words"], given["max_words"])
    chosen = choose_texts(sources, given["factors"], given["exclude"], *lengths)
    concepts, factors = chosen.concepts[: given["limit"]], chosen.factors
    encoder = _encoder(context, given["batch_size"])
    with console.progress("encoding concepts") as tell:
        job = TextPool(
            concepts,
            encoder,
            None if factors is None else factors[: given["limit"]],
            templates,
            chosen.selection,
            given["store"].value,
            tell,
        )
        encode(job, "encode-pool", context)


def _image_pool(source: str, context: typer.Context) -> None:
    from sithctl.commands.work import encode
    from sithctl.stages.image_pool import ImagePool
    from sithctl.views.console import output as console

    given = context.params
    images = open_source(source, context, captions=True)
    batch = given["batch_size"] if is_given(context, "batch_size") else BATCH
    encoder = _encoder(context, batch)
    with console.progress("encoding images") as tell:
        job = ImagePool(images, encoder, not given["no_thumbnails"], given["store"].value, tell)
        encode(job, "encode-pool", context, images)


def _encoder(context: typer.Context, batch_size: int) -> Encoder:
    from sithctl.views.console import output as console

    given = context.params
    with console.working("loading the model"):
        from sithctl.models import load_encoder

        name = named_model(given["model"])
        device = ranks.device(given["device"])
        return load_encoder(name, device, dtype=given["dtype"].value, batch_size=batch_size)


def _ready(embeddings: Path, concepts: str, factors: Path | None, model: str | None) -> Pool:
    """A pool of embeddings that were made elsewhere."""
    from sithctl.scenes.bundled import bundled_concepts
    from sithctl.sources.concepts import read_factors, read_labels
    from sithctl.sources.embeddings import read_embeddings
    from sithctl.stages.pool import ready_pool

    known: list[Factors] | None = None
    if concepts == "scenes" and factors is None:
        labels, known = bundled_concepts()
    else:
        labels = read_labels(concepts)
        known = read_factors(factors, labels) if factors is not None else None
    return ready_pool(read_embeddings(embeddings, 2), labels, model=model, factors=known)
