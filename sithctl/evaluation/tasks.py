"""The tasks of ``eval`` by name, loaded when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, overload

from sithctl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sithctl.evaluation.results import Evaluation, Tell
    from sithctl.kinds import ClassNames, Codes, Heads, Mean, Pool, Spectra
    from sithctl.kinds.scores import Score
    from sithctl.models import Encoder
    from sithctl.models.encoders import Batch
    from sithctl.models.locate import Named
    from sithctl.models.model import Model
    from sithctl.sources.images import Images

TASKS: tuple[str, ...] = (
    "fidelity",
    "coherence",
    "agreement",
    "trust",
    "effect",
    "zero-shot",
    "retrieval",
    "drift",
)


# What each task takes, for type checkers and completion; a test holds it to the functions.


@overload
def evaluate(
    task: Literal["fidelity"],
    codes: Codes,
    pool: Pool,
    *,
    spectra: Spectra | None = ...,
    samples: int = ...,
    seed: int = ...,
    device: str = ...,
    progress: Tell = ...,
) -> Evaluation: ...


@overload
def evaluate(
    task: Literal["coherence"],
    codes: Codes,
    *,
    scores: Sequence[Score] | None = ...,
    draws: int = ...,
    seed: int = ...,
    progress: Tell = ...,
) -> Evaluation: ...


@overload
def evaluate(
    task: Literal["agreement"],
    codes: Codes,
    other: Codes,
    *,
    permutations: int = ...,
    seed: int = ...,
    progress: Tell = ...,
) -> Evaluation: ...


@overload
def evaluate(
    task: Literal["trust"],
    codes: Codes,
    spectra: Spectra,
    pool: Pool,
    *,
    mean: Mean | None = ...,
    repeats: int = ...,
    samples: int = ...,
    seed: int = ...,
    device: str = ...,
    progress: Tell = ...,
) -> Evaluation: ...


@overload
def evaluate(
    task: Literal["effect"],
    model: Model,
    codes: Codes,
    encoder: Encoder,
    pictures: Sequence[Batch],
    *,
    layer: str | None = ...,
    head: str | None = ...,
    sv: str | None = ...,
    top: int | None = ...,
    group: str = ...,
    draws: int = ...,
    seed: int = ...,
    progress: Tell = ...,
) -> Evaluation: ...


@overload
def evaluate(
    task: Literal["zero-shot"],
    model: Named | Encoder,
    images: Images,
    *,
    against: Named | Encoder | None = ...,
    label: str | None = ...,
    groups: Sequence[str] = ...,
    classes: ClassNames | None = ...,
    templates: Sequence[str] = ...,
    max_drop: float | None = ...,
    seed: int = ...,
    progress: Tell = ...,
) -> Evaluation: ...


@overload
def evaluate(
    task: Literal["retrieval"],
    model: Named | Encoder,
    images: Images,
    *,
    unsafe: Images | None = ...,
    against: Named | Encoder | None = ...,
    max_drop: float | None = ...,
    seed: int = ...,
    progress: Tell = ...,
) -> Evaluation: ...


@overload
def evaluate(
    task: Literal["drift"],
    base: Heads,
    tuned: Heads,
    *,
    layers: str | None = ...,
    rank: int | None = ...,
    seed: int = ...,
    progress: Tell = ...,
) -> Evaluation: ...


def evaluate(task: str, *inputs: Any, **options: Any) -> Evaluation:
    """Measure explanations or an edit, beside chance.

    Args:
        task: one of ``TASKS``; ``zero-shot`` is the function ``zero_shot`` of
            ``sithctl.evaluation.zero_shot``, and so on.
        inputs: what the task measures: codes, heads, a model's name.
        options: of that function.

    Returns:
        Tables of figures: ``table(key).records``, ``document()`` as JSON has it, and in a notebook
        a view.

    Raises:
        InputError: there is no such task, or its inputs do not fit.

    >>> from sithctl import fold
    >>> heads = fold("scenes", "5")
    >>> evaluate("drift", heads, heads)
    Evaluation(drift: shares 4 rows, heads 8 rows)
    """
    if task not in TASKS:
        raise InputError(f"no task {task}", None, f"one of {', '.join(TASKS)}")
    name = task.replace("-", "_")
    result: Evaluation = getattr(import_module(f"sithctl.evaluation.{name}"), name)(
        *inputs, **options
    )
    return result
