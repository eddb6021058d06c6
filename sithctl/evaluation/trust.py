"""Which explanations to trust: signs that need no truth, and a grade made of them."""

from __future__ import annotations

from typing import Any

from sithctl.evaluation.explained import mean_of
from sithctl.evaluation.factors import dominant_shares
from sithctl.evaluation.fidelity import IMPORTED
from sithctl.evaluation.grades import B, Signs
from sithctl.evaluation.grading import Trust, grade
from sithctl.evaluation.results import Column, Evaluation, Record, Table
from sithctl.kinds import Array, Codes, Pool, Spectra
from sithctl.kinds.codes import GRADES, REASONS
from sithctl.stages.explain import flagged

SHOWN = 10  # explanations in a table for people


def trust(codes: Codes, spectra: Spectra, pool: Pool, **options: Any) -> Evaluation:
    """Grade every explanation from A to D, with reasons, told in tables.

    Args:
        codes, spectra, pool: as for ``sithctl.evaluation.grading.grade``.
        options: its ``mean``, ``repeats``, ``samples``, ``seed``, ``device`` and ``progress``.

    Returns:
        Tables ``grades``, ``reasons``, ``heads`` and ``explanations``.

    Raises:
        InputError: what ``grade`` refuses.
    """
    return report(grade(codes, spectra, pool, **options))


def report(trusted: Trust) -> Evaluation:
    """What was found, in tables."""
    header = {
        "model": trusted.codes.model.name,
        "parameters": dict(sorted(trusted.codes.parameters.items())),
        **trusted.settings,
    }
    notes = [STABILITY] if trusted.repeatable else [IMPORTED, UNTESTED]
    if trusted.codes.parameters["method"] in ("top-k", "nearest"):
        notes.append(ONE_BY_ONE)
    elif trusted.codes.parameters["sparsity"] == 1 and trusted.repeatable:
        notes.append(ALONE)
    notes.append(against_chance(trusted))
    tables = (_grades(trusted), _reasons(trusted), _heads(trusted), _explanations(trusted))
    return Evaluation("trust", header, tables, tuple(notes))


STABILITY = (
    "stability: how much of an explanation comes again from random halves of the pool, of what the "
    "half keeps; percentile: of its fidelity among random directions'"
)
ONE_BY_ONE = (
    "this method picks each concept for itself, whatever else is there: it is stable by nature, "
    "which says nothing for its explanations"
)
ALONE = (
    "a single concept comes again wherever it is kept: with K 1 stability says nothing for "
    "explanations"
)
UNTESTED = "stability is not tested, and no grade is better than B"


def against_chance(trusted: Trust) -> str:
    """How often random directions get an A or a B, and whether these explanations do more often."""
    grades = (trusted.grades, trusted.of_random)
    ours, random = (float((g <= B).mean()) for g in grades)
    # Two standard errors of the difference: else half of all random models would be above chance.
    error = (random * (1 - random) * sum(1 / len(g) for g in grades)) ** 0.5
    told = f"A or B: {ours:.1%} of these explanations, {random:.1%} of random directions'"
    return f"{told} (by chance)" if ours > random + 2 * error else f"{told}: {NO_BETTER}"


NO_BETTER = "not clearly more than by chance, so that no A or B here is to be trusted"


def _grades(trusted: Trust) -> Table:
    signs, codes = trusted.signs, trusted.codes
    known = codes.concepts.factors is not None
    truth = None
    if known:
        truth = dominant_shares(trusted.rows.indices, trusted.rows.coefficients, codes)
    records = []
    for number, letter in enumerate(GRADES, 1):
        mine = trusted.grades == number
        record: Record = {"grade": letter, "count": int(mine.sum()), "share": float(mine.mean())}
        record["by_chance"] = float((trusted.of_random == number).mean())
        record |= {name: mean_of(values[mine]) for name, values in _figures(signs).items()}
        if truth is not None:
            record["dominant_value"] = mean_of(truth[mine])
        records.append(record)
    columns = (
        Column("grade", "grade", "text"),
        Column("count", "n", "count"),
        Column("share", "share", "share"),
        Column("by_chance", "by chance", "share"),
        Column("overlap", "stability"),
        Column("percentile", "percentile", "share"),
        Column("poles_overlap", "± overlap"),
        *((Column("dominant_value", "on one value"),) if known else ()),
    )
    return Table("grades", "Explanations by grade", columns, records)


def _figures(signs: Signs) -> dict[str, Array]:
    return {
        "jaccard": signs.jaccard,
        "overlap": signs.overlap,
        "percentile": signs.percentile,
        "poles_overlap": signs.poles,
    }


TOLD = {
    "degenerate": "σ within the gap of a neighbour's: vectors are interchangeable",
    "unstable": "less than three quarters come again from half of the pool",
    "near-chance": "fidelity below the 95th percentile of random directions'",
    "same-poles": "+ and − name the same concepts",
    "empty": "no concept",
    "untested": "the coder cannot be repeated",
}


def _reasons(trusted: Trust) -> Table:
    records = []
    for bit, name in enumerate(REASONS):
        count = int((trusted.reasons >> bit & 1).sum())
        if count:
            share = count / len(trusted.reasons)
            records.append({"reason": name, "count": count, "share": share, "told": TOLD[name]})
    columns = (
        Column("reason", "reason", "text"),
        Column("count", "n", "count"),
        Column("share", "share", "share"),
        Column("told", "what keeps it from an A", "text"),
    )
    return Table("reasons", "Reasons", columns, records)


def _heads(trusted: Trust) -> Table:
    records: list[Record] = []
    for place, mine in trusted.rows.heads():
        counts = {g: int((trusted.grades[mine] == i).sum()) for i, g in enumerate(GRADES, 1)}
        figures = {name: mean_of(x[mine]) for name, x in _figures(trusted.signs).items()}
        records.append({**place, "count": int(mine.sum()), **counts, **figures})
    columns = (
        Column("layer", "layer", "count"),
        Column("head", "head", "count"),
        *(Column(letter, letter, "count") for letter in GRADES),
        Column("overlap", "stability"),
        Column("percentile", "percentile", "share"),
    )
    return Table("heads", "Grades by head", columns, records)


def _explanations(trusted: Trust) -> Table:
    rows, codes = trusted.rows, trusted.codes
    figures = _figures(trusted.signs)
    records: list[Record] = []
    for i in range(len(rows.layer)):
        record: Record = {n: int(getattr(rows, n)[i]) for n in ("layer", "head", "sv")}
        record["pole"] = codes.poles[rows.pole[i]]
        record["grade"] = GRADES[trusted.grades[i] - 1]
        record["reasons"] = list(flagged(int(trusted.reasons[i])))
        record["degenerate"] = bool(rows.degenerate[i])
        record |= {name: float(values[i]) for name, values in figures.items()}
        records.append(record)
    columns = (
        Column("layer", "layer", "count"),
        Column("head", "head", "count"),
        Column("sv", "sv", "count"),
        Column("pole", "±", "text"),
        Column("grade", "grade", "text"),
        Column("overlap", "stability"),
        Column("percentile", "percentile", "share"),
        Column("reasons", "reasons", "text"),
    )
    return Table("explanations", "Explanations", columns, records, limit=SHOWN)
