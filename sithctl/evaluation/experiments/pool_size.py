"""Fidelity against the size of the pool (UniSITH: captioned images as concepts)."""

from __future__ import annotations

from sithctl.evaluation.charts import Chart, Series
from sithctl.evaluation.lab import Lab
from sithctl.evaluation.reproduction import Claim, Reproduction
from sithctl.evaluation.results import Column, Record, Table

SIZES, FEW = (200, 1000, 5000), (200, 1000)
PAPER = {
    "setting": "UniSITH, vision models, COMP, K 5",
    "200": {"fidelity": 0.3},
    "5000": {"fidelity": [0.5, 0.7]},
}
SHOWN = {"fidelity": "these vectors", "random": "random directions", "shuffled": "shuffled pool"}
NOTE = (
    "fidelity of scenes-vit's vectors by five scenes each. A shuffled pool may lie higher: its "
    "rows point everywhere, those of real pictures only where pictures lie"
)


def run(lab: Lab) -> Reproduction:
    """Explain the classifier without a text tower by ever more captioned scenes."""
    lab.run("sithctl fold scenes-vit -o vit-heads.safetensors")
    lab.run("sithctl svd vit-heads.safetensors -o vit-spectra.safetensors")
    rows = [_measured(lab, size) for size in (FEW if lab.short else SIZES)]
    figures = [row["fidelity"] for row in rows]
    return Reproduction(
        "pool-size",
        PAPER,
        {"rows": rows},
        {
            "random_directions": {str(row["concepts"]): row["random"] for row in rows},
            "shuffled_pool": {str(row["concepts"]): row["shuffled"] for row in rows},
        },
        tuple(lab.commands),
        (
            Claim("fidelity rises with the pool", figures == sorted(set(figures))),
            Claim(
                "and lies above that of random directions",
                all(row["fidelity"] > row["random"] for row in rows),
            ),
        ),
        (_table(rows),),
        (_chart(rows),),
        (NOTE,),
        lab.seed,
    )


def _measured(lab: Lab, size: int) -> Record:
    pool, codes = f"images-{size}.h5", f"vit-{size}.h5"
    lab.run(
        f"sithctl encode-pool scenes:images --model scenes-vit --limit {size} --seed {lab.seed} "
        f"--no-thumbnails -o {pool}"
    )
    lab.run(f"sithctl decompose vit-spectra.safetensors --pool {pool} -o {codes}")
    found = lab.measure(
        f"sithctl eval fidelity {codes} --pool {pool} --spectra vit-spectra.safetensors "
        f"--samples 256 --seed {lab.seed}"
    )
    of = {row["of"]: row["mean"] for row in found["overall"] if row["figure"] == "feature"}
    return {
        "concepts": size,
        "fidelity": of["codes"],
        "random": of["random"],
        "shuffled": of["shuffled"],
    }


def _table(rows: list[Record]) -> Table:
    columns = (Column("concepts", "concepts", "count"), *(Column(*it) for it in SHOWN.items()))
    return Table("rows", "Fidelity by size of the pool", columns, rows)


def _chart(rows: list[Record]) -> Chart:
    sizes = tuple(float(row["concepts"]) for row in rows)
    series = [Series(t, tuple(row[name] for row in rows), sizes) for name, t in SHOWN.items()]
    title = "Fidelity rises with the pool"
    return Chart("pool-size", title, "concepts", "fidelity", tuple(series), logarithmic=True)
