"""A spurious correlation undone (SITH, Sec. 4.2: Waterbirds).

In the bundled model's training stars came at night and rings in forests; here each shape comes in
both scenes as often. What is suppressed are the two scenes. The words and the factor, of 0 to −3
the one with the highest overall accuracy, were chosen on pictures of seed 71,000; beside it stand
0, the paper's for Waterbirds, and −1, its for unsafe content.
"""

from __future__ import annotations

from typing import Any

from sithctl.evaluation.charts import Chart, Series
from sithctl.evaluation.lab import Lab
from sithctl.evaluation.reproduction import Claim, Reproduction
from sithctl.evaluation.results import Column, Record, Table

WORDS = "night, midnight, darkness, forest, woods, jungle"
CLASSES = ("star\tstar, asterisk, starburst", "ring\tring, hoop, annulus")
TEMPLATES = ("{}", "{} shape", "{}s", "shaped {}", "a {}", "some {}s")
FACTORS = (-2, -1, 0)  # the one chosen, and the paper's
CONTROLS = 5
GAIN = 0.15  # of the worst group
PAPER: dict[str, Any] = {
    "setting": "ViT-L/14, Waterbirds, vectors scored ≥ 3 zeroed",
    "base": {"overall": 0.735, "worst_group": 0.479},
    "edited": {"overall": 0.827, "worst_group": 0.706},
}


def run(lab: Lab) -> Reproduction:
    """Suppress the scenes, as whole heads do, and as random vectors do."""
    lab.chain()
    lab.write("shapes.txt", CLASSES)
    base = _accuracy(lab, "scenes")
    suppress = f'sithctl edit scenes --codes codes.h5 --suppress "{WORDS}"'
    for factor in FACTORS:
        lab.run(f"{suppress} --factor {factor} -o {_folder(factor)}")
    edited = {factor: _accuracy(lab, _folder(factor)) for factor in FACTORS}
    control = _whole_heads(lab, suppress) | {"random": _random(lab)}
    chosen = edited[FACTORS[0]]
    others = {f"factor_{factor}": edited[factor] for factor in FACTORS[1:]}
    return Reproduction(
        "spurious",
        PAPER,
        {"base": base, "edited": chosen, **others},
        control,
        tuple(lab.commands),
        _claims(base, chosen, control),
        (_table(base, edited, control),),
        (_chart(base, edited, control),),
        (f"suppressed: every vector whose explanation is about {WORDS}", NOTE),
        lab.seed,
    )


NOTE = (
    "whole heads: as many vectors, as the heads that have most of them; random: as many vectors of "
    "each layer, of about the same energy, by the same factor"
)


def _folder(factor: int) -> str:
    return f"suppressed-{abs(factor)}"


def _accuracy(lab: Lab, model: str) -> dict[str, Any]:
    """Overall, of the worst group, and of each."""
    pictures = 1000 if lab.short else 2000
    templates = " ".join(f'--template "{template}"' for template in TEMPLATES)
    found = lab.measure(
        f"sithctl eval zero-shot {model} --data scenes:spurious --limit {pictures} "
        f"--seed {lab.seed} --classes shapes.txt {templates}"
    )
    overall, worst = found["overall"]["accuracy"], found["worst_group"]["accuracy"]
    return {
        "overall": overall["mean"],
        "worst_group": worst["mean"],
        "overall_interval": [overall["low"], overall["high"]],
        "worst_group_interval": [worst["low"], worst["high"]],
        "groups": {row["group"]: row["accuracy"]["mean"] for row in found["groups"]},
    }


def _whole_heads(lab: Lab, suppress: str) -> dict[str, Any]:
    """The heads that the edit took most vectors of, ablated: with 0 as TextSpan does, and by the
    edit's own factor."""
    plan = lab.measure(f"{suppress} --factor {FACTORS[0]} --dry-run")["changes"]
    places = [(change["layer"], change["head"]) for change in plan]
    energy = dict.fromkeys(places, 0.0)
    for change, place in zip(plan, places, strict=True):
        energy[place] += change["sigma"] ** 2
    a_head = next(iter(lab.load("codes.h5").layers.values())).singular_values.shape[1]
    heads = sorted(energy, key=lambda place: -energy[place])[: max(1, round(len(plan) / a_head))]
    found = {}
    for name, factor in (("whole_heads", 0), ("whole_heads_reversed", FACTORS[0])):
        sets = " ".join(f'--set "{layer}.{head}.*={factor}"' for layer, head in sorted(heads))
        lab.run(f"sithctl edit scenes {sets} -o {name}")
        found[name] = _accuracy(lab, name)
    return found


def _random(lab: Lab) -> list[dict[str, Any]]:
    found = []
    for seed in range(2 if lab.short else CONTROLS):
        lab.run(
            f"sithctl edit scenes --at-random {_folder(FACTORS[0])}/sithctl-plan.csv "
            f"--seed {seed} -o random-{seed}"
        )
        found.append(_accuracy(lab, f"random-{seed}"))
    return found


def _mean(found: list[dict[str, Any]], figure: str) -> float:
    return float(sum(one[figure] for one in found) / len(found))


def _claims(
    base: dict[str, Any], edited: dict[str, Any], control: dict[str, Any]
) -> tuple[Claim, ...]:
    others = [control["whole_heads"], control["whole_heads_reversed"], *control["random"]]
    gain = edited["worst_group"] - base["worst_group"]
    points = round(100 * GAIN)
    return (
        Claim(f"the worst group gains {points} points or more", gain >= GAIN),
        Claim("overall accuracy does not fall", edited["overall"] >= base["overall"]),
        Claim(
            "whole heads and random vectors gain less in the worst group",
            all(one["worst_group"] < edited["worst_group"] for one in others),
        ),
    )


def _table(base: dict[str, Any], edited: dict[int, Any], control: dict[str, Any]) -> Table:
    rows: list[Record] = [
        _row("as it is", base),
        *(_row(f"suppressed, factor {_signed(factor)}", edited[factor]) for factor in FACTORS),
        _row("whole heads, factor 0", control["whole_heads"]),
        _row(f"whole heads, factor {_signed(FACTORS[0])}", control["whole_heads_reversed"]),
        *(_row(f"at random, {i}", one) for i, one in enumerate(control["random"])),
        {"what": "paper: as it is", **PAPER["base"]},
        {"what": "paper: suppressed", **PAPER["edited"]},
    ]
    columns = (
        Column("what", "edit", "text"),
        Column("overall", "overall", "share"),
        Column("worst_group", "worst group", "share"),
        Column("worst", "which", "text"),
    )
    return Table("edits", "Telling stars from rings", columns, rows)


def _row(what: str, found: dict[str, Any]) -> Record:
    """Both figures with their intervals, and which group is worst."""
    figures = {
        name: {"mean": found[name], "low": low, "high": high}
        for name in ("overall", "worst_group")
        for low, high in (found[f"{name}_interval"],)
    }
    groups = found["groups"]
    return {"what": what, **figures, "worst": min(groups, key=groups.__getitem__)}


def _signed(factor: int) -> str:
    return str(factor).replace("-", "−")


def _chart(base: dict[str, Any], edited: dict[int, Any], control: dict[str, Any]) -> Chart:
    shown = {"as it is": base}
    shown |= {f"factor {_signed(factor)}": edited[factor] for factor in FACTORS}
    shown["whole heads"] = control["whole_heads"]
    figures = ("overall", "worst_group")
    bars = [
        Series(
            name,
            tuple(found[figure] for figure in figures),
            low=tuple(found[f"{figure}_interval"][0] for figure in figures),
            high=tuple(found[f"{figure}_interval"][1] for figure in figures),
        )
        for name, found in shown.items()
    ]
    bars.append(Series("at random", tuple(_mean(control["random"], f) for f in figures)))
    title = "A spurious correlation undone"
    return Chart("spurious", title, "", "accuracy", tuple(bars), ("overall", "worst group"))
