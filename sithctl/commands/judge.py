"""``sithctl judge``: every explanation scored from 1 to 5 for a question."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sithctl.commands import completion
from sithctl.commands.common import command, deliver, is_given, source_or_pipe
from sithctl.commands.options import ForceOpt, HeadOpt, LayerOpt, OutOpt, SvOpt, TopOpt
from sithctl.commands.text_tower import text_tower
from sithctl.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sithctl.kinds import Codes, Identity
    from sithctl.sources.judges import Endpoint
    from sithctl.stages.explain import Explanation
    from sithctl.stages.judge import Judgement


class ScoreFormat(StrEnum):
    csv = "csv"
    json = "json"


CodesArg = Annotated[
    str | None,
    typer.Argument(
        help="Codes from `sithctl decompose`; - or nothing is a pipe.",
        autocompletion=completion.codes,
    ),
]
QuestionOpt = Annotated[
    str,
    typer.Option(
        "--question",
        help="A text file with the question; - is standard input.",
        autocompletion=completion.texts,
    ),
]
BaseUrlOpt = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        envvar="OPENAI_BASE_URL",
        help="An OpenAI-compatible server, as http://localhost:11434/v1.",
    ),
]
JudgeModelOpt = Annotated[
    str | None, typer.Option("--judge-model", help="The language model's name on that server.")
]
OfflineOpt = Annotated[
    bool, typer.Option("--offline", help="Score by similarity to the question's words instead.")
]
TextModelOpt = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Whose text tower --offline compares with, or none; by default the codes' own model.",
        autocompletion=completion.models,
    ),
]
TemplateOpt = Annotated[
    str | None,
    typer.Option(
        "--template",
        help="A text file: the prompt, with {question} and {concepts}.",
        autocompletion=completion.texts,
    ),
]
TemperatureOpt = Annotated[
    float, typer.Option("--temperature", min=0.0, help="The judge's; 0 is its likeliest answer.")
]
JobsOpt = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Requests at a time.")]
FormatOpt = Annotated[ScoreFormat, typer.Option("--format", help="csv for edit and for people.")]

OF_ENDPOINTS = ("base_url", "judge_model", "template", "temperature", "jobs")


@command
def judge(
    context: typer.Context,
    question: QuestionOpt,
    codes: CodesArg = None,
    base_url: BaseUrlOpt = None,
    judge_model: JudgeModelOpt = None,
    offline: OfflineOpt = False,
    model: TextModelOpt = None,
    layer: LayerOpt = None,
    head: HeadOpt = None,
    sv: SvOpt = None,
    top: TopOpt = None,
    template: TemplateOpt = None,
    temperature: TemperatureOpt = 0.0,
    jobs: JobsOpt = 4,
    format: FormatOpt = ScoreFormat.csv,  # noqa: A002 (the option's name)
    output: OutOpt = None,
    force: ForceOpt = False,
) -> None:
    """Score every explanation from 1 to 5 for a question, by a language model or by similarity.

    The question is in words, such as "Does this describe unsafe content?". The result has the
    columns layer, head, sv, pole, score, concepts, why, below a line that begins with # and names
    the model, by which `sithctl edit --scores` knows whose they are. Answers that do not begin with
    one number from 1 to 5 are counted and left out.

    With --base-url and --judge-model an OpenAI-compatible server is asked, with the key in
    OPENAI_API_KEY where there is one; this needs the extra named judge. Answers are kept in the
    cache as they come, so a run that broke off goes on, and a second one asks nothing.

    With --offline nobody is asked: a score says how like the question's words the concepts are, to
    the model's text tower, or, where it has none, how much of the weight is on concepts that name
    one of them. That knows words and no meaning: a stand-in for a judge.

    Example: echo "Is it red?" | sithctl judge codes.h5 --question - --offline --sv 0
    """
    from sithctl.artifacts import load
    from sithctl.artifacts.streams import check_target
    from sithctl.kinds import Codes
    from sithctl.stages.explain import explain

    _check(context, base_url, judge_model, offline, model)
    if output not in (None, "-"):
        check_target(output, force)
    source = source_or_pipe(codes, context)
    if source == question == "-":
        raise UsageError("standard input is both codes and question", None, "name one as a file")
    endpoint = None if offline else _endpoint(base_url, judge_model, temperature)
    asked, prompt = _text(question), None if template is None else _text(template)
    found = load(source, Codes)
    rows = explain(found, layer=layer, head=head, sv=sv, top=top)
    if endpoint is None:
        judgement, by = _by_similarity(found, rows, asked, model)
    else:
        judgement = _by_endpoint(endpoint, rows, asked, prompt, template, jobs)
        by = endpoint.document()
    header = {"model": found.model.name, "question": asked, "judge": by}
    _write(judgement, found.model, format, output, header)


def _check(
    context: typer.Context,
    base_url: str | None,
    judge_model: str | None,
    offline: bool,
    model: str | None,
) -> None:
    given = [f"--{name.replace('_', '-')}" for name in OF_ENDPOINTS if is_given(context, name)]
    if offline and given:
        raise UsageError("--offline asks nobody", None, f"leave out {', '.join(given)}")
    if not offline and model is not None:
        todo = "add --offline; a language model is named by --judge-model"
        raise UsageError("--model is whose text tower compares", None, todo)
    if not offline and not (base_url and judge_model):
        todo = "give --base-url and --judge-model, or --offline"
        raise UsageError("nobody to judge", None, todo)


def _endpoint(base_url: str | None, judge_model: str | None, temperature: float) -> Endpoint:
    from sithctl.sources.judges import Endpoint

    return Endpoint(base_url or "", judge_model or "", temperature)


def _text(source: str) -> str:
    from sithctl.sources.concepts import read_text

    text = read_text(source).strip()
    if not text:
        raise InputError("an empty text", source, "write the question, or the prompt, in it")
    return text


def _by_endpoint(
    endpoint: Endpoint,
    rows: Sequence[Explanation],
    question: str,
    prompt: str | None,
    template: str | None,
    jobs: int,
) -> Judgement:
    from sithctl.artifacts.answers import Answers
    from sithctl.stages.judge import judge as stage
    from sithctl.stages.prompts import TEMPLATE, check_template, read_answer
    from sithctl.views.console import output

    chosen = TEMPLATE if prompt is None else check_template(prompt, template)
    answers = Answers(endpoint.document())
    ask = answers.through(endpoint.ask, keep=lambda text: read_answer(text) is not None)
    with output.progress("judging") as tell:
        return stage(rows, question, ask, template=chosen, jobs=jobs, progress=tell)


def _by_similarity(
    codes: Codes, rows: Sequence[Explanation], question: str, model: str | None
) -> tuple[Judgement, dict[str, Any]]:
    from sithctl.stages.offline_judge import judge_by_similarity, question_words
    from sithctl.views.console import output

    words = question_words(question)  # before a model is loaded for it
    name, encode = text_tower(model, codes.model.name)
    if encode is None:
        output.note("no text tower: scored by the question's words in labels")
    with output.working("comparing concepts"):
        judgement = judge_by_similarity(rows, codes.concepts.labels, question, encode)
    return judgement, {"offline": True, "model": name, "words": words}


def _write(
    judgement: Judgement,
    model: Identity,
    format: ScoreFormat,  # noqa: A002
    target: str | None,
    header: dict[str, Any],
) -> None:
    from sithctl.artifacts import scores
    from sithctl.views.console import output

    made, left_out = judgement.scores, judgement.unusable
    header |= {"unusable": left_out, "empty": judgement.empty}
    text = scores.as_csv(made, model) if format is ScoreFormat.csv else scores.as_json(made, header)
    deliver(text, target)
    if left_out:
        total = left_out + len(made)
        output.note(
            f"left out: {left_out} of {total}, whose answer is no number from 1 to 5, such as "
            f"{judgement.example!r}; run again to ask for them again"
        )
    if judgement.empty:
        output.note(f"left out: {judgement.empty} that name no concept")
