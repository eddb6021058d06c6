"""``sithctl encode-pool``: concepts to embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sithctl.commands.common import command, source_or_pipe
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
from sithctl.commands.text_options import (
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
    sources: SourcesArg = None,
    model: ModelOpt = None,
    template: TemplateOpt = None,
    exclude: ExcludeOpt = None,
    min_words: MinWordsOpt = None,
    max_words: MaxWordsOpt = None,
    factors: FactorsOpt = None,
    embeddings: EmbeddingsOpt = None,
    concepts: ConceptsOpt = None,
    store: StoreOpt = Storage.float32,
    device: DeviceOpt = "cpu",
    dtype: DtypeOpt = Precision.float32,
    batch_size: EncodeBatchOpt = 256,
    output: OutOpt = None,
    force: ForceOpt = False,
    history: HistoryOpt = HistoryDetail.plain,
) -> None:
    """Encode concepts with the model's own text tower into a concept pool.

    With --template, a concept's embedding is the mean of its unit-norm embeddings in all templates;
    its label stays the concept.

    Example: sithctl encode-pool words.txt --model ./clip -o pool.h5
    """
    from sithctl.artifacts.streams import check_target
    from sithctl.commands.writing import write

    if (embeddings is None) != (concepts is None):
        raise UsageError("--embeddings and --concepts go together", None, "give both or neither")
    if embeddings is not None and concepts is not None:
        if sources or template or exclude or min_words or max_words:
            raise UsageError(
                "--embeddings leaves nothing to encode or to choose",
                embeddings,
                "give either SOURCE or --embeddings, and --template, --exclude, --min-words and "
                "--max-words with SOURCE alone",
            )
        check_target(output, force)
        write(_ready(embeddings, concepts, factors, model), output, history)
        return
    named = sources or [source_or_pipe(None, context)]
    check_target(output, force)
    from sithctl.models import load_encoder
    from sithctl.stages.pool import check_templates
    from sithctl.stages.pool import encode_pool as stage
    from sithctl.views.console import output as console

    check_templates(template or [])
    chosen = choose_texts(named, factors, exclude, min_words, max_words)
    with console.working("loading the model"):
        encoder = load_encoder(named_model(model), device, dtype=dtype.value, batch_size=batch_size)
    with console.progress("encoding concepts") as tell:
        pool = stage(
            chosen.concepts,
            encoder,
            factors=chosen.factors,
            templates=template or [],
            selection=chosen.selection,
            dtype=store.value,
            progress=tell,
        )
    write(pool, output, history)


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
