"""A stand-in for a judge: how like the question's words an explanation's concepts are.

It knows words, no meaning of a sentence: "not about the ocean" is to it about the ocean. It is
there for where no endpoint is, costs nothing, and gives the same scores every time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sithctl.errors import InputError
from sithctl.kinds import Array
from sithctl.stages.explain import Explanation
from sithctl.stages.judge import Judgement, scored
from sithctl.stages.prompts import Answer, concepts_shown
from sithctl.stages.similarity import Encode, by_text_tower, words_of

# The least similarity for a 2, 3, 4 and 5. Labels that hold a word have a cosine of about 0.6 with
# it, others one of about 0: so a 5 needs two thirds of the weight on labels that do.
COSINE_STEPS = (0.1, 0.2, 0.3, 0.4)
SHARE_STEPS = (0.2, 0.4, 0.6, 0.8)

# What questions are made of, whatever they ask about.
_STOP = """
a about all an and any are as at be by can concept concepts content contents depict depicts
describe describes direction do does explanation explanations far for from has have how image
images in is it its kind kinds label labels like many mean means mention mentions much name names
of on or picture pictures question rate refer refers relate related relates score scores show
shows something that the their them there these they thing things this those to was what whether
which with word words
"""
STOP = frozenset(_STOP.split())


def judge_by_similarity(
    explanations: Sequence[Explanation],
    labels: Sequence[str],
    question: str,
    encode: Encode | None = None,
) -> Judgement:
    """Score explanations from 1 to 5 without a judge.

    The question's words are those outside ``STOP``. With a text tower a concept's similarity is its
    largest cosine with one of them, 1 where it is that very word; both sides are unit and centred
    first, labels on the mean of ``labels`` and words on the mean of all words in ``labels``: bare
    words are alike for being bare words, whatever they mean. An explanation's similarity is the
    mean of its concepts', weighted by coefficient, and its score is 1 plus how many of
    ``COSINE_STEPS`` that reaches. The steps are fixed and ``labels`` do not depend on what is
    selected, so an explanation's score does not depend on which others are judged.

    Without a text tower a concept counts 1 if one of the words is in its label, else 0, and the
    steps are ``SHARE_STEPS``.

    Args:
        explanations: from ``explain``.
        labels: all labels that the codes use.
        question: in words.
        encode: a text tower.

    Raises:
        InputError: no explanation names a concept, or the question has no word of its own.
    """
    words = question_words(question)
    judged = [e for e in explanations if e.concepts]
    if not judged:
        raise InputError("no explanation names a concept", None, "select other vectors")
    distinct = list(dict.fromkeys(labels))
    alike = _named(distinct, words) if encode is None else _cosines(distinct, words, encode)
    similarity = dict(zip(distinct, alike.tolist(), strict=True))
    scores = [
        scored(e, concepts_shown(e), _answer(_mean(e, similarity), words, encode is not None))
        for e in judged
    ]
    return Judgement(scores, empty=len(explanations) - len(judged))


def question_words(question: str) -> list[str]:
    """What a question is about.

    >>> question_words("How much are these concepts about the ocean?")
    ['ocean']
    """
    words = [word for word in words_of(question) if word not in STOP]
    if not words:
        raise InputError(
            "the question has no word to compare concepts with", question, "name what it is about"
        )
    return words


def _mean(e: Explanation, similarity: dict[str, float]) -> float:
    total = sum(c.coefficient for c in e.concepts)
    return sum(c.coefficient * similarity[c.concept] for c in e.concepts) / total if total else 0.0


def _answer(similarity: float, words: list[str], cosine: bool) -> Answer:
    steps = COSINE_STEPS if cosine else SHARE_STEPS
    what = "similarity to" if cosine else "share of weight that names"
    similarity = round(similarity, 2) + 0.0  # what is shown decides; and no −0.00
    score = 1 + sum(similarity >= step for step in steps)
    return Answer(score, f"{what} {', '.join(words)}: {similarity:.2f}")


def _named(labels: list[str], words: list[str]) -> Array:
    """(labels,) 1 where a label has one of the words."""
    return np.array([float(not set(words).isdisjoint(words_of(label))) for label in labels])


def _cosines(labels: list[str], words: list[str], encode: Encode) -> Array:
    """(labels,) the largest centred cosine with one of the words."""
    return by_text_tower(labels, words, encode).max(1)
