"""Whether an explanation's concepts belong together, beside concepts drawn at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sithctl.errors import InputError
from sithctl.evaluation.bootstrap import bootstrap
from sithctl.evaluation.explained import Explained, mean_of
from sithctl.evaluation.factors import factor_weights
from sithctl.evaluation.likeness import Likeness, redrawn
from sithctl.evaluation.matching import check_explains
from sithctl.evaluation.results import Column, Evaluation, Progress, Record, Table, Tell, untold
from sithctl.kinds import Array, Codes
from sithctl.kinds.scores import Score

DRAWS = 20  # random explanations for each that there is
TITLES = {
    "similarity": "similarity",
    "weighted_similarity": "similarity, weighted",
    "dominant_factor": "weight on one factor",
    "dominant_value": "weight on one value",
    "judged": "judge's score, 1 to 5",
}


def coherence(
    codes: Codes,
    *,
    scores: Sequence[Score] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Tell = untold,
) -> Evaluation:
    """How alike each explanation's concepts are, in the pool's own embedding and, where concepts
    name known factors, in what they say.

    Chance is concepts drawn from those that the codes use, with the explanation's own weights.

    Args:
        codes: from ``decompose``.
        scores: a judge's, of some or all of the explanations.
        draws: random explanations for each that there is.
        seed: of these and of the bootstrap.
        progress: called with (draws done, draws in all).

    Returns:
        Tables ``overall``, a record a figure with bootstrap intervals; ``factors``, the weight on
        each factor that is known; and ``heads``.

    Raises:
        InputError: scores of an explanation that the codes lack.
    """
    rows = check_explains(codes)
    measure = Likeness(codes)
    ours = measure.figures(rows.indices, rows.coefficients)
    steps, rng = Progress(progress, draws), np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        drawn.append(measure.figures(redrawn(rows, codes, rng), rows.coefficients))
        steps.step()
    chance = {name: np.mean([found[name] for found in drawn], axis=0) for name in ours}
    if scores is not None:
        ours["judged"] = _judged(rows, codes, scores)
    notes = () if codes.concepts.factors is not None else (NO_FACTORS,)
    return Evaluation(
        "coherence",
        {
            "model": codes.model.name,
            "parameters": dict(sorted(codes.parameters.items())),
            "chance": {"draws": draws, "seed": seed},
        },
        (_overall(ours, chance, seed), _factors(rows, codes, seed), _heads(rows, ours)),
        (*notes, CHANCE),
    )


NO_FACTORS = "the pool's concepts name no known factors: their similarity alone is measured"
CHANCE = (
    "chance: as many concepts, drawn from all that these codes use, with the explanation's own "
    "weights; similarity is of two concepts or more"
)


def _judged(rows: Explained, codes: Codes, scores: Sequence[Score]) -> Array:
    """(n,) the judge's scores; NaN where it gave none."""
    signs = [codes.poles[pole] for pole in rows.pole]
    keys = zip(rows.layer.tolist(), rows.head.tolist(), rows.sv.tolist(), signs, strict=True)
    place = {key: i for i, key in enumerate(keys)}
    result = np.full(len(place), np.nan)
    for score in scores:
        key = (score.layer, score.head, score.sv, score.pole)
        if key not in place:
            vector = f"{score.layer}.{score.head}.{score.sv}{score.pole}"
            todo = "give the scores that `sithctl judge` made of these codes"
            raise InputError(f"the scores judge {vector}, which the codes lack", None, todo)
        result[place[key]] = score.score
    return result


def _overall(ours: dict[str, Array], chance: dict[str, Array], seed: int) -> Table:
    records = []
    for name, values in ours.items():
        known = ~np.isnan(values)
        if not known.any():
            continue
        record: Record = {"figure": name, "title": TITLES[name], "count": int(known.sum())}
        record["mean"] = bootstrap(values[known], seed).document()
        if name in chance:
            beside = chance[name][known]
            record["chance"] = bootstrap(beside, seed).document()
            record["above_chance"] = bootstrap(values[known] - beside, seed).document()
        records.append(record)
    columns = (
        Column("title", "coherence", "text"),
        Column("count", "n", "count"),
        Column("mean", "these codes"),
        Column("chance", "chance"),
    )
    return Table("overall", "Coherence, all heads (95% intervals)", columns, records)


def _factors(rows: Explained, codes: Codes, seed: int) -> Table:
    """What explanations speak of, on the whole."""
    found = factor_weights(rows.indices, rows.coefficients, codes)
    records: list[Record] = [
        {"factor": name, "weight": bootstrap(shares, seed).document()}
        for name, shares in found.items()
        if len(shares)
    ]
    columns = (Column("factor", "factor", "text"), Column("weight", "weight", "share"))
    return Table("factors", "Weight on each factor", columns, records)


def _heads(rows: Explained, ours: dict[str, Array]) -> Table:
    records: list[Record] = []
    for place, mine in rows.heads():
        figures = {name: mean_of(values[mine]) for name, values in ours.items()}
        records.append({**place, "count": int(mine.sum()), **figures})
    headings = {
        "similarity": "similarity",
        "weighted_similarity": "weighted",
        "dominant_factor": "factor",
        "dominant_value": "value",
        "judged": "judged",
    }
    columns = (
        Column("layer", "layer", "count"),
        Column("head", "head", "count"),
        Column("count", "n", "count"),
        *(Column(name, headings[name]) for name in ours),
    )
    return Table("heads", "Coherence, mean by head", columns, records)
