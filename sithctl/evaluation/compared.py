"""Shares of right answers of one model, and beside another's: what fell, and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from sithctl.evaluation.bootstrap import Interval, bootstrap, interval, resampled_groups
from sithctl.evaluation.results import Column, Record
from sithctl.kinds import Array

ROUNDING = 1e-9  # a drop of just as much as is allowed is allowed


def shares(right: Sequence[Array], name: str, seed: int) -> Record:
    """A share of right answers with its interval and, of two models, the paired difference.

    Args:
        right: of each model, (n,) what each answer counts: of the one measured, and of its base.
        name: of the figure.
        seed: of the bootstrap, which draws the same answers of both models.
    """
    values = [np.asarray(r, dtype=np.float64) for r in right]
    found = [bootstrap(v, seed) for v in values]
    fell = bootstrap(values[0] - values[1], seed) if len(values) > 1 else None
    return _record(name, found, fell)


def worst(groups: Sequence[Mapping[str, Array]], name: str, seed: int) -> Record:
    """The lowest share of any group, each group drawn within itself.

    The worst of several groups is in part the unluckiest: an interval reaches below it further
    than above.

    Args:
        groups: of each model, what each answer counts, by group.
    """
    found, draws, where, counts = [], [], [], []
    for by_name in groups:
        means = {group: float(np.mean(values)) for group, values in by_name.items()}
        where.append(min(means, key=means.__getitem__))
        counts.append(len(by_name[where[-1]]))
        draws.append(resampled_groups(by_name, seed).min(0))
        found.append(interval(means[where[-1]], draws[-1]))
    if len(groups) == 1:
        return {"group": where[0], "pictures": counts[0], **_record(name, found, None)}
    fell = interval(found[0].mean - found[1].mean, draws[0] - draws[1])
    base = {"against_group": where[1], "against_pictures": counts[1]}
    return {"group": where[0], "pictures": counts[0], **_record(name, found, fell), **base}


def _record(name: str, found: Sequence[Interval], difference: Interval | None) -> Record:
    record: Record = {name: found[0].document()}
    if difference is not None:
        record |= {"against": found[1].document(), "difference": difference.document()}
    return record


def columns(name: str, heading: str, model: str, base: str | None) -> tuple[Column, ...]:
    """For people: the figure, or with a base that of both models and their difference."""
    if base is None:
        return (Column(name, heading, "share"),)
    return (
        Column(name, model, "share"),
        Column("against.mean", base, "share"),
        Column("difference", "difference", "points"),
    )


def base_alone(record: Record, name: str) -> Record:
    """The record as the base's own evaluation has it."""
    left_out = ("against", "difference", "against_group", "against_pictures", "title")
    own = {key: value for key, value in record.items() if key not in left_out}
    for key in ("group", "pictures"):
        own |= {key: record[f"against_{key}"]} if f"against_{key}" in record else {}
    return {**own, name: record["against"]}


def fallen(records: Iterable[tuple[str, Record]], allowed: float | None) -> tuple[str, ...]:
    """A line for each figure that fell by more than ``allowed``; none where nothing limits it."""
    if allowed is None:
        return ()
    lines = []
    for what, record in records:
        change = record["difference"]
        if change["mean"] < -allowed - ROUNDING:
            span = f"{-change['high']:.3f} to {-change['low']:.3f}"
            lines.append(f"{what} fell by {-change['mean']:.3f} ({span}), more than {allowed:g}")
    return tuple(lines)
