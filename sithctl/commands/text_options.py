"""Options of concepts that come as texts, and what they select."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from sithctl.commands import completion
from sithctl.commands.image_options import IMAGES_HELP
from sithctl.errors import UsageError

if TYPE_CHECKING:
    from sithctl.kinds import Factors

SourcesArg = Annotated[
    list[str] | None,
    typer.Argument(
        help="Merged in order: lists (a concept a line, or .json), ConceptNet's assertions, "
        "WordNet's folder; conceptnet and wordnet are fetched; - is a pipe; scenes is bundled. "
        f"Or captioned images: {IMAGES_HELP}.",
        autocompletion=completion.sources,
    ),
]
FactorsOpt = Annotated[
    Path | None,
    typer.Option(
        "--factors",
        help="Tab-separated: concept, then the factor values it names.",
        autocompletion=completion.factors,
    ),
]
TemplateOpt = Annotated[
    list[str] | None,
    typer.Option("--template", help='As in "a photo of {}"; several are averaged.'),
]
ExcludeOpt = Annotated[
    Path | None,
    typer.Option(
        "--exclude",
        help="A list of concepts to leave out.",
        autocompletion=completion.lists,
    ),
]
MinWordsOpt = Annotated[
    int | None, typer.Option("--min-words", min=1, help="Leave out concepts of fewer words.")
]
MaxWordsOpt = Annotated[
    int | None, typer.Option("--max-words", min=1, help="Leave out concepts of more words.")
]

CHOOSING = ("template", "exclude", "min_words", "max_words")  # texts alone


class Chosen(NamedTuple):
    """Concepts to encode, what each names where that is known, and how they were chosen."""

    concepts: list[str]
    factors: list[Factors] | None
    selection: dict[str, Any]


def choose_texts(
    sources: list[str],
    factors: Path | None,
    exclude: Path | None,
    min_words: int | None,
    max_words: int | None,
) -> Chosen:
    """Read the sources, leave out what is not wanted, and look up what the rest name."""
    from sithctl.sources.concepts import read_factors, read_list
    from sithctl.sources.selection import Selection
    from sithctl.sources.texts import read_texts
    from sithctl.views.console import output

    if min_words and max_words and min_words > max_words:
        raise UsageError(
            "no length is left", f"--min-words {min_words} --max-words {max_words}", "swap them"
        )
    unwanted = read_list(exclude) if exclude is not None else []
    selection = Selection(unwanted, min_words, max_words)
    texts = read_texts(sources, output.progress)
    kept = selection.of(texts.concepts)
    if factors is not None:
        known: list[Factors] | None = read_factors(factors, kept)
    else:
        known = [texts.factors.get(concept, {}) for concept in kept] if texts.factors else None
    return Chosen(kept, known, selection.document())
