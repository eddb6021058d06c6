"""Vectors replaced by what their concepts say (SITH, Sec. 4.1): accuracy against K."""

from __future__ import annotations

from itertools import pairwise

from sithctl.evaluation.charts import Chart, Series
from sithctl.evaluation.lab import Lab
from sithctl.evaluation.reproduction import Claim, Reproduction
from sithctl.evaluation.results import Column, Record, Table

SPARSITIES, FEW = (5, 10, 20, 50), (5, 50)
TASKS = ("colour", "shape", "scene")
PAPER = {
    "setting": "ViT-L/14: singular vectors of the last four layers replaced by reconstructions",
    "found": "zero-shot accuracy returns to the original's as K grows",
}
SLACK = 0.02  # a step down that pictures alone can make


def run(lab: Lab) -> Reproduction:
    """Put K concepts in each vector's place, classify, and compare."""
    lab.chain()
    base = {task: _accuracy(lab, "scenes", task) for task in TASKS}
    rows = [_measured(lab, k) for k in (FEW if lab.short else SPARSITIES)]
    means = [row["mean"] for row in rows]
    whole = sum(base.values()) / len(base)
    return Reproduction(
        "reconstruction",
        PAPER,
        {"base": {**base, "mean": whole}, "rows": rows},
        {"chance": {"colour": 1 / 10, "shape": 1 / 8, "scene": 1 / 6}},
        tuple(lab.commands),
        (
            Claim("accuracy grows with K", all(b > a - SLACK for a, b in pairwise(means))),
            Claim("more concepts come nearer to the original", means[-1] > means[0]),
        ),
        (_table(base, rows),),
        (_chart(base, rows),),
        (),
        lab.seed,
    )


def _measured(lab: Lab, k: int) -> Record:
    lab.run(
        f"sithctl decompose spectra.safetensors --pool pool.h5 --sparsity {k} --pole + "
        f"-o concepts-{k}.h5"
    )
    lab.run(f"sithctl edit scenes --reconstruct concepts-{k}.h5 -o concepts-{k}")
    found = {task: _accuracy(lab, f"concepts-{k}", task) for task in TASKS}
    return {"sparsity": k, **found, "mean": sum(found.values()) / len(found)}


def _accuracy(lab: Lab, model: str, task: str) -> float:
    pictures = 200 if lab.short else 1000
    found = lab.measure(
        f"sithctl eval zero-shot {model} --data scenes:images --label {task} --limit {pictures} "
        f"--seed {lab.seed}"
    )
    return float(found["overall"]["accuracy"]["mean"])


def _table(base: dict[str, float], rows: list[Record]) -> Table:
    whole = {"what": "as it is", **base}
    records = [{"what": f"K {row['sparsity']}", **row} for row in rows] + [whole]
    columns = (Column("what", "vectors", "text"), *(Column(t, t, "share") for t in TASKS))
    return Table("rows", "Zero-shot accuracy with vectors made of concepts", columns, records)


def _chart(base: dict[str, float], rows: list[Record]) -> Chart:
    sizes = tuple(float(row["sparsity"]) for row in rows)
    curves = [Series(task, tuple(row[task] for row in rows), sizes) for task in TASKS]
    ends = (sizes[0], sizes[-1])
    levels = [Series(f"{task}, as it is", (base[task], base[task]), ends) for task in TASKS]
    title = "Vectors replaced by K concepts each"
    return Chart(
        "reconstruction",
        title,
        "K",
        "zero-shot accuracy",
        (*curves, *levels),
        logarithmic=True,
        dashed=tuple(level.name for level in levels),
    )
