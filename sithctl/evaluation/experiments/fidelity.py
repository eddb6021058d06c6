"""Fidelity against coherence, by method and sparsity (SITH, Sec. 4.1)."""

from __future__ import annotations

from itertools import pairwise

from sithctl.evaluation.charts import Chart, Series
from sithctl.evaluation.lab import Lab
from sithctl.evaluation.reproduction import Claim, Reproduction
from sithctl.evaluation.results import Column, Record, Table

METHODS = {
    "top-k": ("top-k", "--method top-k"),
    "COMP, λ 0.4": ("comp-0.4", "--method comp --coherence 0.4"),
    "COMP, λ 0.3": ("comp-0.3", "--method comp --coherence 0.3"),
    "COMP, λ 0.2": ("comp-0.2", "--method comp --coherence 0.2"),
    "NNOMP": ("nnomp", "--method nnomp"),
}  # by rising fidelity and falling coherence, as published
SPARSITIES, FEW = (5, 10, 20, 50), (5, 20)
AT = 5  # the paper's K

PAPER = {
    "setting": "ViT-L/14, ConceptNet, last four layers, K 5",
    "COMP, λ 0.3": {"fidelity": 0.60, "judged_coherence": 3.8},
    "NNOMP": {"fidelity": 0.65, "judged_coherence": 3.0},
    "top-k": {"fidelity": 0.35, "judged_coherence": 4.2},
}
NOTE = (
    "coherence: mean cosine of two concepts of an explanation, weighted; value: the weight on one "
    "factor value; random: random directions by the same coder; shuffled: the vectors by a pool "
    "with shuffled coordinates; residual: of a ceiling of {:.2f}"
)


def run(lab: Lab) -> Reproduction:
    """Decompose by every method and sparsity, and measure both."""
    lab.chain()
    sparsities = FEW if lab.short else SPARSITIES
    rows = [_measured(lab, method, k) for method in METHODS for k in sparsities]
    at = {row["method"]: row for row in rows if row["sparsity"] == AT}
    return Reproduction(
        "fidelity",
        PAPER,
        {"rows": rows},
        {"random_directions": {name: row["random"] for name, row in at.items()}},
        tuple(lab.commands),
        _claims(rows, at),
        (_table(rows),),
        (_fidelity_chart(rows), _trade_off(rows)),
        (NOTE.format(rows[0]["ceiling"]),),
        lab.seed,
    )


def _measured(lab: Lab, method: str, k: int) -> Record:
    stem, options = METHODS[method]
    name = f"{stem}-{k}.h5"
    lab.run(
        f"sithctl decompose spectra.safetensors --pool pool.h5 {options} --sparsity {k} -o {name}"
    )
    samples = 64 if lab.short else 128
    fidelity = lab.measure(
        f"sithctl eval fidelity {name} --pool pool.h5 --spectra spectra.safetensors "
        f"--samples {samples} --seed {lab.seed}"
    )
    coherence = lab.measure(f"sithctl eval coherence {name} --seed {lab.seed}")
    kept = {(row["figure"], row["of"]): row["mean"] for row in fidelity["overall"]}
    alike = {row["figure"]: row["mean"]["mean"] for row in coherence["overall"]}
    return {
        "method": method,
        "sparsity": k,
        "fidelity": kept["feature", "codes"],
        "residual": kept["residual", "codes"],
        "ceiling": kept["residual_ceiling", "codes"],
        "random": kept["feature", "random"],
        "shuffled": kept["feature", "shuffled"],
        "coherence": alike["weighted_similarity"],
        "dominant_value": alike["dominant_value"],
    }


def _claims(rows: list[Record], at: dict[str, Record]) -> tuple[Claim, ...]:
    fidelities = [at[name]["fidelity"] for name in METHODS]
    coherences = [at[name]["coherence"] for name in METHODS]
    grows = [_curve(rows, name, "fidelity") for name in METHODS]
    return (
        Claim("fidelity at K 5: top-k < COMP, falling with λ < NNOMP", _rises(fidelities)),
        Claim("coherence at K 5: top-k > COMP, rising with λ > NNOMP", _rises(coherences[::-1])),
        Claim("fidelity rises with K, by every method", all(map(_rises, grows))),
    )


def _rises(figures: list[float]) -> bool:
    return all(a < b for a, b in pairwise(figures))


def _curve(rows: list[Record], method: str, figure: str) -> list[float]:
    return [row[figure] for row in rows if row["method"] == method]


def _table(rows: list[Record]) -> Table:
    columns = (
        Column("method", "method", "text"),
        Column("sparsity", "K", "count"),
        Column("fidelity", "fidelity"),
        Column("random", "random"),
        Column("shuffled", "shuffled"),
        Column("residual", "residual"),
        Column("coherence", "coherence"),
        Column("dominant_value", "value"),
    )
    return Table("rows", "Fidelity and coherence by method and sparsity", columns, rows)


def _fidelity_chart(rows: list[Record]) -> Chart:
    sizes = tuple(float(k) for k in sorted({row["sparsity"] for row in rows}))
    series = [Series(m, tuple(_curve(rows, m, "fidelity")), sizes) for m in reversed(METHODS)]
    title = "Fidelity rises with the number of concepts"
    return Chart("fidelity", title, "K", "fidelity", tuple(series), logarithmic=True)


def _trade_off(rows: list[Record]) -> Chart:
    def one(method: str) -> Series:
        points = (_curve(rows, method, "coherence"), _curve(rows, method, "fidelity"))
        return Series(method, tuple(points[1]), tuple(points[0]))

    title = "Coherence costs fidelity"
    series = tuple(map(one, reversed(METHODS)))
    return Chart("trade-off", title, "coherence", "fidelity", series, ticks=False)
