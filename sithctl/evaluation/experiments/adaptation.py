"""What fine-tuning changes (SITH, Sec. 4.5): heads compared, and their difference explained."""

from __future__ import annotations

from sithctl.evaluation.lab import Lab
from sithctl.evaluation.reproduction import Reproduction
from sithctl.evaluation.results import Record

FACTORS, FEW = ("shape", "colour"), ("shape",)
RANK = 4  # vectors of each head's difference that are explained
PAPER = {
    "setting": "ViT-L/14 fine-tuned on Flowers, Waterbirds and others, whole and by LoRA",
    "found": "fine-tuning reweights a stable basis: subspaces overlap, singular values change; "
    "what changed is explained by concepts of the task",
}
NOTE = (
    "weight on the factor: mean share of the concepts' weight, a phrase of several factors counting "
    f"in equal parts; of the {RANK} largest singular vectors of each head"
)


def run(lab: Lab) -> Reproduction:
    """Fine-tune on a factor, whole and by LoRA; compare heads; explain the difference."""
    lab.chain()
    lab.run(f"sithctl decompose spectra.safetensors --pool pool.h5 --rank {RANK} -o base-{RANK}.h5")
    rows = []
    for factor in FEW if lab.short else FACTORS:
        for way, option in (("whole", ""), ("lora", "--lora ")):
            rows.append(_measured(lab, factor, way, option))
    return Reproduction(
        "adaptation",
        PAPER,
        {"rows": rows},
        {"base_weight_on_the_factor": {row["factor"]: row["base"] for row in rows}},
        tuple(lab.commands),
        _claims(rows),
        (_table(rows),),
        (),
        (NOTE,),
        lab.seed,
    )


def _measured(lab: Lab, factor: str, way: str, option: str) -> Record:
    name = f"{factor}-{way}"
    steps = 40 if lab.short else 80
    lab.run(
        f"python -m sithctl.scenes.adapt --factor {factor} {option}--steps {steps} "
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
    found = {
        k: _weights(lab, f)
        for k, f in (("base", f"base-{RANK}.h5"), ("difference", f"{name}-difference.h5"))
    }
    return {
        "factor": factor,
        "way": way,
        "base": found["base"][factor]["mean"],
        "difference": found["difference"][factor]["mean"],
        "first": max(
            found["difference"], key=lambda f: found["difference"][f]["above_base"]["mean"]
        ),
        "drift": drift["overall"],
    }
