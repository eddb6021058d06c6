"""Concepts of a task amplified (SITH, Sec. 4.4: α = max(0.8, R + 0.3))."""

from __future__ import annotations

from typing import Any

from sithctl.evaluation.lab import Lab
from sithctl.evaluation.reproduction import Claim, Reproduction
from sithctl.evaluation.results import Column, Record, Table
from sithctl.scenes.factors import FACTORS

PAPER = {
    "setting": "ViT-L/14, Flowers, floor 0.8, offset 0.3",
    "base": {"accuracy": 0.765},
    "edited": {"accuracy": 0.775},
}
TASKS = ("shape", "pattern")  # the factors that the bundled model does not know wholly
WAYS = {
    "the paper's": "--floor 0.8 --offset 0.3",
    "offset 0.5": "--floor 0.8 --offset 0.5",
    "nothing suppressed": "--floor 1 --offset 0.5",
    "stronger": "--floor 1 --offset 0.8",
}
AGAIN = 500_000  # added to the seed: of several ways one gains by luck, and not a second time
NOTE = (
    "gain: in points, with its 95% interval over pictures; again: of the best way of each task, on "
    "other pictures. The paper gains one point; where no interval excludes 0 both times there is "
    "no gain to be seen here, and these are the ways that were tried"
)


def run(lab: Lab) -> Reproduction:
    """Edit for a task in the paper's way and in others, and compare on the same pictures."""
    lab.chain()
    tasks, ways = (TASKS[:1], list(WAYS)[:2]) if lab.short else (TASKS, list(WAYS))
    rows = [_measured(lab, task, way) for task in tasks for way in ways]
    for task in tasks:
        best = max((r for r in rows if r["task"] == task), key=lambda r: r["gain"]["mean"])
        best["again"] = _gain(lab, task, best["way"], lab.seed + AGAIN)["difference"]
    measured: dict[str, Any] = {"rows": rows}
    first = rows[0]
    measured |= {"base": {"accuracy": first["base"]}, "edited": {"accuracy": first["accuracy"]}}
    tried = [row for row in rows if "again" in row]
    gained = [row for row in tried if min(row["gain"]["low"], row["again"]["low"]) > 0]
    lost = [row for row in rows if row["gain"]["high"] < 0]
    return Reproduction(
        "classification",
        PAPER,
        measured,
        {"gained": [_called(row) for row in gained], "lost": [_called(row) for row in lost]},
        tuple(lab.commands),
        (Claim("a gain whose interval excludes 0, and again", bool(gained), required=False),),
        (_table(rows),),
        (),
        (NOTE,),
        lab.seed,
    )


def _called(row: Record) -> str:
    return f"{row['task']}, {row['way']}"


def _measured(lab: Lab, task: str, way: str) -> Record:
    values = next(factor for factor in FACTORS if factor.name == task).values
    lab.write(f"{task}s.txt", values)
    lab.run(
        f"sithctl edit scenes --codes codes.h5 --pool pool.h5 --task {task}s.txt {WAYS[way]} "
        f"-o {_folder(task, way)}"
    )
    overall = _gain(lab, task, way, lab.seed)
    return {
        "task": task,
        "way": way,
        "base": overall["against"]["mean"],
        "accuracy": overall["accuracy"]["mean"],
        "gain": overall["difference"],
    }


def _folder(task: str, way: str) -> str:
    return f"{task}-{list(WAYS).index(way)}"


def _gain(lab: Lab, task: str, way: str, seed: int) -> dict[str, Any]:
    """Accuracy of both models and their difference, on pictures of a seed."""
    pictures = 300 if lab.short else 1500
    found = lab.measure(
        f"sithctl eval zero-shot {_folder(task, way)} --against scenes --data scenes:images "
        f"--label {task} --classes {task}s.txt --limit {pictures} --seed {seed}"
    )
    overall: dict[str, Any] = found["overall"]
    return overall


def _table(rows: list[Record]) -> Table:
    columns = (
        Column("task", "task", "text"),
        Column("way", "way", "text"),
        Column("base", "as it is", "share"),
        Column("accuracy", "edited", "share"),
        Column("gain", "gain", "points"),
        Column("again", "again", "points"),
    )
    return Table("rows", "Concepts of a task amplified", columns, rows)
