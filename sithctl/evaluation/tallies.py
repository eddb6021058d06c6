"""Right answers counted: overall, by class, by group, and of the worst group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from sithctl.evaluation.compared import shares, worst
from sithctl.evaluation.labelled import Class
from sithctl.evaluation.results import Record
from sithctl.kinds import Array, Factors

FIGURE = "accuracy"
Right = Sequence[Array]  # of each model, (pictures,) bool


def tallies(
    right: Right,
    classes: Sequence[Class],
    truth: Array,
    known: Sequence[Factors],
    columns: Sequence[str],
    seed: int,
) -> dict[str, list[Record]]:
    """Every accuracy.

    Args:
        right: of each model, whether each picture was told.
        classes: that there are.
        truth: (pictures,) int64, the class of each.
        known: the attributes of each picture.
        columns: those that, with the class, make groups; without any a group is a class.
        seed: of the bootstrap.

    Returns:
        The records of the tables ``summary`` (overall, and the worst group), ``groups``,
        ``classes``.
    """
    names = _told_apart(classes)
    by_class = {name: truth == i for i, name in enumerate(names)}
    rows = [
        {"class": name, "label": c.label, "names": list(c.names), **_of(right, some, seed)}
        for c, (name, some) in zip(classes, by_class.items(), strict=True)
    ]
    made = _groups(names, truth, known, columns) if columns else []
    groups = [{"group": name, **facts, **_of(right, some, seed)} for name, facts, some in made]
    apart = {name: some for name, _, some in made} or by_class
    lowest = worst([{n: r[some] for n, some in apart.items()} for r in right], FIGURE, seed)
    title = f"worst {'group' if columns else 'class'}: {lowest['group']}"
    overall = _of(right, np.full(len(truth), True), seed)
    summary = [
        {"of": "overall", "title": "overall", **overall},
        {"of": "worst_group", "title": title, **lowest},
    ]
    return {"summary": summary, "groups": groups, "classes": rows}


def _told_apart(classes: Sequence[Class]) -> list[str]:
    """What people call the classes; with its label where two have one name, as ImageNet's crane."""
    counts = Counter(c.names[0] for c in classes)
    return [c.names[0] if counts[c.names[0]] == 1 else f"{c.names[0]} ({c.label})" for c in classes]


def _of(right: Right, some: Array, seed: int) -> Record:
    return {"pictures": int(some.sum()), **shares([r[some] for r in right], FIGURE, seed)}


def _groups(
    names: Sequence[str], truth: Array, known: Sequence[Factors], columns: Sequence[str]
) -> list[tuple[str, Record, Array]]:
    """Each group's name, what makes it, and (pictures,) which belong to it."""
    keys = [
        (i, *(facts[c] for c in columns)) for i, facts in zip(truth.tolist(), known, strict=True)
    ]
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    group = np.array([numbers[key] for key in keys])
    result: list[tuple[str, Record, Array]] = []
    for (i, *values), number in numbers.items():
        facts = dict(zip(columns, values, strict=True))
        name = " × ".join([names[i], *(_said(c, v) for c, v in facts.items())])
        result.append((name, {"class": names[i], "attributes": facts}, group == number))
    return result


def _said(column: str, value: str) -> str:
    """A bare number says nothing without its column."""
    return f"{column} {value}" if value.lstrip("-").isdecimal() else value
