"""Explanations scored by whoever can be asked a question in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from sithctl.errors import InputError, Refused
from sithctl.kinds.scores import Score
from sithctl.kinds.shown import Shown, number_of
from sithctl.stages.explain import Explanation
from sithctl.stages.parallel import in_parallel
from sithctl.stages.prompts import TEMPLATE, Answer, concepts_shown, prompt, read_answer

PATIENCE = 20  # answers of no use, before any of use, after which no more are paid for


@dataclass(frozen=True, repr=False)
class Judgement(Shown):
    """Scores in the order of the explanations.

    Attributes:
        unusable: how many explanations have no score because the answer was no number 1–5.
        example: the beginning of one such answer.
        empty: how many explanations name no concept, so that there was nothing to ask.
    """

    scores: list[Score]
    unusable: int = 0
    example: str = ""
    empty: int = 0

    def __repr__(self) -> str:
        return (
            f"Judgement({number_of(len(self.scores), 'score')}, {self.unusable} unusable, "
            f"{self.empty} empty)"
        )


def judge(
    explanations: Sequence[Explanation],
    question: str,
    ask: Callable[[str], str],
    *,
    template: str = TEMPLATE,
    jobs: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> Judgement:
    """Score explanations from 1 to 5, by a language model for instance (SITH, Sec. 4.3).

    Args:
        explanations: from ``explain``.
        question: in words, such as "Does this describe unsafe content?".
        ask: answers a prompt; called from several threads. It may raise ``Refused`` for a prompt
            that it does not answer; anything else it raises ends the work.
        template: with ``{question}`` and ``{concepts}``.
        jobs: how many prompts are under way at a time.
        progress: called with (prompts answered, prompts).

    Returns:
        Scores of those that name a concept, in their order. Equal prompts are asked once.

    Raises:
        InputError: nothing to judge, or no answer is a number.

    >>> from sithctl.stages.explain import Fidelity, WeightedConcept
    >>> told = (WeightedConcept("ocean", 0.8, 0),)
    >>> one = Explanation(5, 2, 0, "right", "+", 1.0, 0.5, False, Fidelity(0.9, 0.5, 0.6), told)
    >>> judge([one], "Is it about water?", lambda prompt: "5 it is").scores[0]
    Score(layer=5, head=2, sv=0, pole='+', score=5, concepts='"ocean" (0.80)', why='it is')
    """
    shown = [(e, concepts_shown(e)) for e in explanations if e.concepts]
    if not shown:
        raise InputError("no explanation names a concept", None, "select other vectors")
    asked = {text: prompt(template, question, text) for _, text in shown}
    answers = _answers(ask, list(asked.values()), jobs, progress)
    found = [(e, text, answers[asked[text]]) for e, text in shown]
    scores = [scored(e, text, a) for e, text, a in found if isinstance(a, Answer)]
    useless = [a for _, _, a in found if isinstance(a, str)]
    if not scores:
        raise _useless(len(useless), useless[0])
    example = useless[0] if useless else ""
    return Judgement(scores, len(useless), example, len(explanations) - len(shown))


def scored(e: Explanation, concepts: str, answer: Answer) -> Score:
    return Score(e.layer, e.head, e.sv, e.pole, answer.score, concepts, answer.why)


def _answers(
    ask: Callable[[str], str],
    prompts: list[str],
    jobs: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Answer | str]:
    """Each prompt's answer, or the beginning of one that is no number."""
    answers: dict[str, Answer | str] = {}
    useless, useful = 0, False
    with closing(in_parallel(lambda text: _one(ask, text), prompts, jobs)) as coming:
        for text, answer in coming:
            answers[text] = answer
            useful = useful or isinstance(answer, Answer)
            useless += isinstance(answer, str)
            if isinstance(answer, str) and useless == PATIENCE and not useful:
                raise _useless(useless, answer)
            if progress:
                progress(len(answers), len(prompts))
    return answers


def _one(ask: Callable[[str], str], text: str) -> Answer | str:
    try:
        answer = ask(text)
    except Refused as error:
        return str(error)
    return read_answer(answer) or " ".join(answer.split())[:80]


def _useless(count: int, example: str) -> InputError:
    return InputError(
        f"none of {count} answers is a number from 1 to 5",
        f"the judge says {example!r}",
        "try another --judge-model, or a --template that asks for one digit first",
    )
