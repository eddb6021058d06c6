"""Explanations grounded in pictures (SITH, Sec. 4.1): do the images nearest to a vector show what
its concepts say?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from sithctl.evaluation.bootstrap import bootstrap
from sithctl.evaluation.explained import Explained
from sithctl.evaluation.factors import dominant
from sithctl.evaluation.lab import Lab
from sithctl.evaluation.reproduction import Claim, Reproduction
from sithctl.evaluation.results import Column, Record, Table
from sithctl.kinds import Array, Codes, Factors

PAPER = {
    "setting": "ViT-L/14, images of CC12M nearest to each singular vector",
    "found": "the nearest images show the concepts of the vector's explanation (qualitative)",
}
CLEAR = 0.5  # share of the weight on one factor value, from which an explanation says one thing
IMAGES = 5


def run(lab: Lab) -> Reproduction:
    """Explain by texts and by nearest pictures, and compare what each says of the same pole."""
    lab.chain()
    pictures = 1000 if lab.short else 4000
    lab.run(
        f"sithctl encode-pool scenes:images --model scenes --limit {pictures} --seed {lab.seed} "
        "--no-thumbnails -o images.h5"
    )
    lab.run(
        f"sithctl decompose spectra.safetensors --pool images.h5 --method nearest "
        f"--sparsity {IMAGES} -o nearest.h5"
    )
    found = Grounded.of(lab.load("codes.h5"), lab.load("nearest.h5"))
    rows = [found.record(least, lab.seed) for least in (0.0, CLEAR)]
    clear = rows[-1]
    return Reproduction(
        "grounding",
        PAPER,
        {"all": rows[0], "clear": clear},
        {"other_vectors": {"all": rows[0]["chance"], "clear": clear["chance"]}},
        tuple(lab.commands),
        tuple(_claims(rows)),
        (_table(rows),),
        (),
        (NOTE,),
        lab.seed,
    )


NOTE = (
    f"shown: the share of the {IMAGES} nearest pictures that show the factor value which the "
    "explanation says most of; chance: the pictures of other vectors"
)


@dataclass(frozen=True)
class Grounded:
    """Each explanation's dominant value, and how far pictures show it.

    Attributes:
        share: (n,) of the weight on that value.
        shown: (n,) share of its nearest pictures that show it.
        chance: (n,) the same of all other vectors' pictures.
        agrees: (n,) whether that value is also the commonest among them.
    """

    share: Array
    shown: Array
    chance: Array
    agrees: Array

    @classmethod
    def of(cls, said: Codes, near: Codes) -> Grounded:
        values = [dominant(weights, named) for weights, named in _concepts(said)]
        pictures = [named for _, named in _concepts(near)]
        kept = [i for i, (value, _) in enumerate(values) if value is not None and pictures[i]]
        every = [picture for i in kept for picture in pictures[i]]
        seen = {name: Counter(p[name] for p in every) for name in every[0]}
        rows = []
        for i in kept:
            (factor, value), share = values[i]
            here = Counter(picture[factor] for picture in pictures[i])
            others = seen[factor] - here
            chance = others[value] / max(1, others.total())
            shown = here[value] / here.total()
            rows.append((share, shown, chance, here[value] == max(here.values())))
        return cls(*(np.array(column, dtype=float) for column in zip(*rows, strict=True)))

    def record(self, least: float, seed: int) -> Record:
        """Of the explanations that have at least such a share of their weight on one value."""
        some = self.share >= least
        return {
            "least_share": least,
            "explanations": int(some.sum()),
            "shown": bootstrap(self.shown[some], seed).document(),
            "chance": bootstrap(self.chance[some], seed).document(),
            "above_chance": bootstrap((self.shown - self.chance)[some], seed).document(),
            "commonest": bootstrap(self.agrees[some], seed).document(),
        }


def _concepts(codes: Codes) -> list[tuple[list[float], list[Factors]]]:
    """Of every explanation, its concepts' weights and factors."""
    known = codes.concepts.factors
    assert known is not None
    place = {int(index): i for i, index in enumerate(codes.concepts.indices)}
    rows = Explained.of(codes)
    result = []
    for indices, weights in zip(rows.indices, rows.coefficients, strict=True):
        used = indices >= 0
        result.append((weights[used].tolist(), [known[place[i]] for i in indices[used].tolist()]))
    return result


def _claims(rows: list[Record]) -> list[Claim]:
    everything, clear = rows
    ratio = clear["shown"]["mean"] / clear["chance"]["mean"]
    return [
        Claim(
            "pictures show what explanations say, above chance",
            everything["above_chance"]["low"] > 0,
        ),
        Claim("where one value has half of the weight, twice as often as by chance", ratio >= 2),
    ]


def _table(rows: list[Record]) -> Table:
    named = [
        {"what": "all", **rows[0]},
        {"what": "half of the weight or more on one value", **rows[1]},
    ]
    columns = (
        Column("what", "explanations", "text"),
        Column("explanations", "n", "count"),
        Column("shown", "shown", "share"),
        Column("chance.mean", "chance", "share"),
        Column("commonest", "commonest value", "share"),
    )
    return Table("rows", "What the nearest pictures show", columns, named)
