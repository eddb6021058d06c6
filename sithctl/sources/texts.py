"""Any source of texts, told by its name or its structure; several are merged in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sithctl.errors import InputError
from sithctl.kinds import Factors
from sithctl.sources.conceptnet import is_conceptnet, read_conceptnet
from sithctl.sources.concepts import read_concepts
from sithctl.sources.downloads import DOWNLOADS, fetch
from sithctl.sources.wordnet import is_wordnet, read_wordnet

Tell = Callable[[int, int], None]
Progress = Callable[[str], AbstractContextManager[Tell]]


class Kind(StrEnum):
    """What a source of texts is."""

    bundled = "bundled"
    published = "published"
    wordnet = "wordnet"
    conceptnet = "conceptnet"
    plain = "plain"


@dataclass(frozen=True)
class Texts:
    """Concepts of all sources, each once; and for some, the factor values they name."""

    concepts: list[str]
    factors: dict[str, Factors]


def kind_of(source: str) -> Kind:
    """What a source is: a name that we know, a structure that we know, or else a plain list.

    Raises:
        InputError: a folder, but not WordNet's.
    """
    path = Path(source)
    if source == "scenes":
        return Kind.bundled
    if source in DOWNLOADS:
        return Kind.published
    if is_wordnet(path):
        return Kind.wordnet
    if path.is_dir():
        raise InputError(
            "a folder without index.noun", source, "give a list, or WordNet's database folder"
        )
    return Kind.conceptnet if is_conceptnet(path) else Kind.plain


@contextmanager
def _silent(label: str) -> Iterator[Tell]:
    yield lambda done, total: None


def read_texts(sources: Sequence[str], progress: Progress = _silent) -> Texts:
    """Concepts of sources, one after another, duplicates folded into the first.

    Args:
        sources: plain lists, ``-`` for standard input, ``.json`` lists, ConceptNet's assertions,
            WordNet's folder, ``conceptnet`` and ``wordnet`` (fetched once), ``scenes``.
        progress: opens a bar with a label.

    Raises:
        InputError: a source is missing, damaged or empty, or cannot be fetched.
    """
    concepts: dict[str, None] = {}
    factors: dict[str, Factors] = {}
    for source in sources:
        kind = kind_of(source)
        if kind is Kind.bundled:
            from sithctl.scenes.bundled import bundled_concepts

            labels, known = bundled_concepts()
            factors |= dict(zip(labels, known, strict=True))
        else:
            labels = _labels(source, kind, progress)
        concepts.update(dict.fromkeys(labels))
    return Texts(list(concepts), factors)


def _labels(source: str, kind: Kind, progress: Progress) -> list[str]:
    path = Path(source)
    if kind is Kind.published:
        with progress(f"fetching {source}") as tell:
            path = fetch(source, tell)
        kind = kind_of(str(path))
    if kind is Kind.wordnet:
        return read_wordnet(path)
    if kind is Kind.conceptnet:
        with progress("reading ConceptNet") as tell:
            return read_conceptnet(path, tell)
    return read_concepts(source)
