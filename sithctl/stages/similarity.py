"""How like some words concepts' labels are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from unicodedata import normalize

import numpy as np

from sithctl.errors import UsageError
from sithctl.kinds import Array, Concepts

Encode = Callable[[list[str]], Array]  # texts → (n, features)


def words_of(text: str) -> list[str]:
    """The words of a text, each once, whatever their case.

    >>> words_of("A red ring, a Red box")
    ['a', 'red', 'ring', 'box']
    """
    return list(dict.fromkeys(re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", text.casefold())))


def phrases_in(text: str) -> list[str]:
    """The words and phrases between commas, each once.

    Raises:
        UsageError: there is none, or one without a letter or a digit.

    >>> phrases_in("red, a Hoop,, RED")
    ['red', 'a Hoop']
    """
    return check_phrases(list(filter(None, map(str.strip, text.split(",")))), text)


def check_phrases(phrases: Sequence[str], where: str | None = None) -> list[str]:
    """Words and phrases, each once.

    Args:
        where: what they were written in.

    Raises:
        UsageError: there is none, or one without a letter or a digit.
    """
    found: dict[str, str] = {}
    for phrase in phrases:
        found.setdefault(phrase.casefold(), phrase)
    if not found or not all(any(c.isalnum() for c in phrase) for phrase in found):
        todo = 'write them between commas: "red, a hoop"'
        shown = ", ".join(phrases) if where is None else where
        raise UsageError("no word to look for", shown or "an empty text", todo)
    return list(found.values())


def names(label: str, phrase: str) -> bool:
    """Whether a label has all of a phrase's words, one after another, whatever their case.

    >>> names("a Red ring", "red ring"), names("a hundred rings", "red")
    (True, False)
    """
    found, wanted = _folded(label), _folded(phrase)
    starts = range(len(found) - len(wanted) + 1)
    return bool(wanted) and any(found[i : i + len(wanted)] == wanted for i in starts)


def _folded(text: str) -> list[str]:
    """Its words; composed, as an accent of its own is no letter and would end a word."""
    return re.findall(r"\w+", normalize("NFC", text).casefold())


def by_text_tower(labels: Sequence[str], phrases: Sequence[str], encode: Encode) -> Array:
    """(labels, phrases) cosines, 1 where a label is that very phrase.

    Both sides are unit and centred first, labels on the mean of ``labels`` and phrases on the mean
    of all words in them: bare words are alike for being bare words, whatever they mean.
    """
    bare = sorted({word for label in labels for word in words_of(label)})
    known = unit(encode(list(labels)))
    centred = unit(known - known.mean(0))
    vocabulary = unit(encode(bare or list(phrases)))
    asked = unit(unit(encode(list(phrases))) - vocabulary.mean(0))
    same = [[label.casefold().strip() == p.casefold().strip() for p in phrases] for label in labels]
    return np.where(same, 1.0, centred @ asked.T)


def by_captions(concepts: Concepts, phrases: Sequence[str]) -> Array:
    """(concepts, phrases) for a model without a text tower: a phrase stands for the captions that
    name it, which count 1; others by their cosine with the mean of these in the pool's embedding.
    0 where no caption names the phrase."""
    vectors = concepts.vectors.astype(np.float64)
    result = np.zeros((len(concepts.labels), len(phrases)))
    for column, phrase in enumerate(phrases):
        said = np.array([names(label, phrase) for label in concepts.labels])
        if said.any():
            centre = unit(vectors[said].mean(0, keepdims=True))
            result[:, column] = np.where(said, 1.0, (vectors @ centre.T)[:, 0])
    return result


def unit(rows: Array) -> Array:
    """Rows of norm 1, in float64."""
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
