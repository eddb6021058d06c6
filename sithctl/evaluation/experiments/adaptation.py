"""What fine-tuning changes (SITH, Sec. 4.5): heads compared, and their difference explained."""

from __future__ import annotations

from typing import Any

from sithctl.evaluation.lab import Lab
from sithctl.evaluation.reproduction import Claim, Reproduction
from sithctl.evaluation.results import Column, Record, Table

RUNS = (("shape", "whole"), ("shape", "lora"), ("colour", "lora"))
FEW = RUNS[:2]
OPTION = {"whole": "", "lora": "--lora "}
RANK = 4  # vectors of each head's difference that are explained
PAPER = {
    "setting": "ViT-L/14 fine-tuned on Flowers, Waterbirds and others, whole and by LoRA",
    "found": "fine-tuning reweights a stable basis: subspaces overlap, singular values change; "
    "what changed is explained by concepts of the task",
}
NOTE = (
    "weight: mean share of the concepts' weight that speaks of the task's factor, a phrase of "
    f"several counting in equal parts; of the {RANK} largest singular vectors of each head"
)


def run(lab: Lab) -> Reproduction:
    """Fine-tune on a factor, whole and by LoRA; compare heads; explain the difference."""
    lab.chain()
    lab.run(f"sithctl decompose spectra.safetensors --pool pool.h5 --rank {RANK} -o base-{RANK}.h5")
    rows = [_measured(lab, factor, way) for factor, way in (FEW if lab.short else RUNS)]
    return Reproduction(
        "adaptation",
        PAPER,
        {"rows": rows},
        {"base_weight_on_the_factor": {row["factor"]: row["base"] for row in rows}},
        tuple(lab.commands),
        _claims(rows),
        (_table(rows), _drift(rows)),
        (),
        (NOTE,),
        lab.seed,
    )


def _measured(lab: Lab, factor: str, way: str) -> Record:
    name = f"{factor}-{way}"
    steps = 40 if lab.short else 80
    lab.run(
        f"python -m sithctl.scenes.adapt --factor {factor} {OPTION[way]}--steps {steps} "
        f"--seed {lab.seed} --out {name}"
    )
    lab.run(f"sithctl fold {name} -o {name}-heads.safetensors")
    drift = lab.measure(f"sithctl eval drift heads.safetensors {name}-heads.safetensors")
    lab.run(
        f"sithctl svd {name}-heads.safetensors --minus heads.safetensors "
        f"-o {name}-difference.safetensors"
    )
    lab.run(
        f"sithctl decompose {name}-difference.safetensors --pool pool.h5 --rank {RANK} "
        f"-o {name}-difference.h5"
    )
    base = _weights(lab, f"base-{RANK}.h5")
    changed = _weights(lab, f"{name}-difference.h5")
    rise = {f: changed[f]["mean"] - base[f]["mean"] for f in base}
    return {
        "factor": factor,
        "way": way,
        "base": base[factor],
        "difference": changed[factor],
        "rose_most": max(rise, key=rise.__getitem__),
        "accuracy": _accuracy(lab, name, factor) if way == "whole" else None,
        "drift": drift["overall"],
    }


def _weights(lab: Lab, codes: str) -> dict[str, dict[str, float]]:
    """The weight on each factor, with its interval."""
    found = lab.measure(f"sithctl eval coherence {codes} --seed {lab.seed}")
    return {row["factor"]: row["weight"] for row in found["factors"]}


def _accuracy(lab: Lab, model: str, factor: str) -> dict[str, Any]:
    """What the fine-tuning was for: zero-shot accuracy on the factor, beside the base's."""
    pictures = 300 if lab.short else 1000
    found = lab.measure(
        f"sithctl eval zero-shot {model} --against scenes --data scenes:images --label {factor} "
        f"--limit {pictures} --seed {lab.seed}"
    )
    overall: dict[str, Any] = found["overall"]
    return overall


def _claims(rows: list[Record]) -> tuple[Claim, ...]:
    risen = all(row["difference"]["low"] > row["base"]["high"] for row in rows)
    return (
        Claim("what changed names the task's factor more than the base does", risen),
        Claim("and no other factor rises more", all(r["rose_most"] == r["factor"] for r in rows)),
    )


def _table(rows: list[Record]) -> Table:
    columns = (
        Column("factor", "task", "text"),
        Column("way", "way", "text"),
        Column("base", "weight in base", "share"),
        Column("difference", "in difference", "share"),
        Column("rose_most", "rose most", "text"),
        Column("accuracy.against.mean", "accuracy", "share"),
        Column("accuracy.accuracy.mean", "tuned", "share"),
    )
    return Table("rows", "What fine-tuning changed, as concepts say", columns, rows)


def _drift(rows: list[Record]) -> Table:
    columns = (
        Column("factor", "task", "text"),
        Column("way", "way", "text"),
        Column("drift.change", "‖ΔW‖/‖W‖", "share"),
        Column("drift.mean_angle.right", "angle, °"),
        Column("drift.matched", "matched cos.", "fine"),
        Column("drift.reweighting", "reweighting", "share"),
        Column("drift.rotation", "rotation", "share"),
        Column("drift.new", "new directions", "share"),
    )
    return Table("drift", "What fine-tuning changed, as matrices", columns, rows)
