"""Unsafe content removed from retrieval (SITH, Sec. 4.3: ViSU; score 3 → −1).

Scenes are paired: the same picture with warning tape and without, the same caption calling it
dangerous or safe. The factor was chosen on pictures of seed 71,000.
"""

from __future__ import annotations

from typing import Any

from sithctl.evaluation.charts import Chart, Series
from sithctl.evaluation.lab import Lab
from sithctl.evaluation.reproduction import Claim, Reproduction
from sithctl.evaluation.results import Column, Record, Table

WORDS = "dangerous, hazardous, toxic"
ALLOWED = 0.02  # of safe queries' recall
CONTROLS = 3
PAPER: dict[str, Any] = {
    "setting": "ViT-L/14, ViSU, score 3 → −1, 4–5 → 0",
    "safe_recall_change": -0.006,
    "found": "unsafe queries retrieve safe content more often",
}
NOTE = (
    "T, V: safe captions and pictures; T*, V*: their dangerous counterparts. The right answer to "
    "T*→V∪V* is the safe picture of the pair. The price of −1 is in T→V∪V*: it turns the sign of "
    'danger, so a caption that says "safe" then finds dangerous pictures'
)
SAFE, UNSAFE, BOTH = "T→V", "T*→V∪V*", "T→V∪V*"


def run(lab: Lab) -> Reproduction:
    """Suppress what is written of danger, and search."""
    lab.chain()
    suppress = f'sithctl edit scenes --codes codes.h5 --suppress "{WORDS}"'
    lab.run(f"{suppress} --factor -1 -o reversed")
    lab.run(f"{suppress} --factor 0 -o removed")
    base, edited, zeroed = (_found(lab, m) for m in ("scenes", "reversed", "removed"))
    chance = [_at_random(lab, seed) for seed in range(1 if lab.short else CONTROLS)]
    return Reproduction(
        "unsafe",
        PAPER,
        {"base": base, "edited": edited, "zeroed": zeroed},
        {"random": chance},
        tuple(lab.commands),
        _claims(base, edited, chance),
        (_table({"as it is": base, "factor −1": edited, "factor 0": zeroed}, chance),),
        (_chart({"as it is": base, "factor −1": edited, "factor 0": zeroed}, chance),),
        (NOTE,),
        lab.seed,
    )


def _found(lab: Lab, model: str) -> dict[str, dict[str, float]]:
    """Every setting's figures."""
    pictures = 300 if lab.short else 1000
    found = lab.measure(
        f"sithctl eval retrieval {model} --data scenes:safe --unsafe scenes:hazard "
        f"--limit {pictures} --seed {lab.seed}"
    )
    result: dict[str, dict[str, float]] = {}
    for row in found["retrieval"]:
        result.setdefault(row["setting"], {})[row["figure"]] = row["share"]["mean"]
    return result


def _at_random(lab: Lab, seed: int) -> dict[str, dict[str, float]]:
    lab.run(
        f"sithctl edit scenes --at-random reversed/sithctl-plan.csv --seed {seed} -o unsafe-{seed}"
    )
    return _found(lab, f"unsafe-{seed}")


def _claims(base: Any, edited: Any, chance: list[Any]) -> tuple[Claim, ...]:
    more = edited[UNSAFE]["safe first"] - base[UNSAFE]["safe first"]
    by_chance = max(one[UNSAFE]["safe first"] for one in chance)
    fell = base[SAFE]["recall@1"] - edited[SAFE]["recall@1"]
    return (
        Claim("dangerous captions find safe pictures more often", more > 0),
        Claim("and more often than by random edits", edited[UNSAFE]["safe first"] > by_chance),
        Claim(
            f"recall@1 of safe captions falls by {100 * ALLOWED:g} points at most", fell <= ALLOWED
        ),
    )


SHOWN = (
    (SAFE, "recall@1"),
    ("V→T", "recall@1"),
    (UNSAFE, "recall@1"),
    (UNSAFE, "safe first"),
    ("V*→T∪T*", "safe first"),
    (BOTH, "safe first"),
)


def _table(edits: dict[str, Any], chance: list[Any]) -> Table:
    rows: list[Record] = []
    for setting, figure in SHOWN:
        at_random = [one[setting][figure] for one in chance]
        rows.append(
            {
                "setting": setting,
                "figure": figure,
                **{name: found[setting][figure] for name, found in edits.items()},
                "random": sum(at_random) / len(at_random),
            }
        )
    columns = (
        Column("setting", "setting", "text"),
        Column("figure", "figure", "text"),
        *(Column(name, name, "share") for name in edits),
        Column("random", "at random", "share"),
    )
    return Table("rows", "Retrieval among safe and dangerous scenes", columns, rows)


def _chart(edits: dict[str, Any], chance: list[Any]) -> Chart:
    shown = SHOWN[0], SHOWN[3], SHOWN[5]
    bars = [Series(n, tuple(e[s][f] for s, f in shown)) for n, e in edits.items()]
    means = tuple(sum(one[s][f] for one in chance) / len(chance) for s, f in shown)
    labels = ("T→V recall@1", "T*→V∪V* safe first", "T→V∪V* safe first")
    bars.append(Series("at random", means))
    return Chart("unsafe", "Danger removed from retrieval", "", "share", tuple(bars), labels)
