"""How much of singular vectors their explanations keep, beside chance (method: fidelity)."""

from __future__ import annotations

import numpy as np
import torch

from sithctl.evaluation.chance import SAMPLES, Chance, percentiles, shuffled
from sithctl.evaluation.explained import Explained, mean_of
from sithctl.evaluation.matching import (
    check_explains,
    check_spectra,
    options_of,
    own_dictionary,
    spectra_at_hand,
    vectors_explained,
)
from sithctl.evaluation.results import Column, Evaluation, Record, Table, Tell, untold
from sithctl.kinds import Array, Codes, Pool, Spectra

FIGURES = ("feature", "residual", "residual_ceiling")
QUANTILES = (5, 25, 50, 75, 95)
TITLES = {"random": "random directions", "shuffled": "shuffled pool"}


def fidelity(
    codes: Codes,
    pool: Pool,
    *,
    spectra: Spectra | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    device: str = "cpu",
    progress: Tell = untold,
) -> Evaluation:
    """Both figures of every explanation, each beside two sorts of chance.

    Random residual directions go through the same read-out and the same coder; so do, where they
    are at hand, the vectors themselves with a pool whose coordinates are shuffled.

    Args:
        codes: from ``decompose``.
        pool: that they were made with.
        spectra: that they were made from; a bundled model's are made again when None.
        samples: random directions.
        seed: of these and of the shuffling.
        device: where the pursuit runs.
        progress: called with (steps done, steps in all).

    Returns:
        Tables ``overall``, a record a figure and sort, and ``heads``.

    Raises:
        InputError: a pool or spectra that the codes were not made with.
    """
    rows = check_explains(codes)
    dictionary = own_dictionary(codes, pool)
    options, repeatable = options_of(codes)
    spectra = spectra_at_hand(codes) if spectra is None else spectra
    if spectra is not None:
        check_spectra(codes, spectra)
    chance = Chance(codes, options, torch.from_numpy(codes.mean).double(), device)
    directions = chance.random_vectors(samples, seed)
    vectors = directions if spectra is None else vectors_explained(codes, spectra)
    random = chance.figures(directions, dictionary, progress)
    scrambled = chance.figures(vectors, shuffled(pool, seed), progress)
    own = spectra is not None
    return Evaluation(
        "fidelity",
        {
            "model": codes.model.name,
            "parameters": dict(sorted(codes.parameters.items())),
            "chance": {
                "samples": samples,
                "seed": seed,
                "coder": _coder(codes, repeatable),
                "shuffled_pool_codes": "vectors" if own else "random directions",
            },
        },
        (_overall(rows, random, scrambled), _heads(rows, random, scrambled if own else None)),
        _notes(own, repeatable, bool(np.isnan(rows.fidelity[:, 1]).all())),
    )


def _coder(codes: Codes, repeatable: bool) -> str:
    return str(codes.parameters["method"]) if repeatable else "comp"


def _overall(rows: Explained, random: Array, scrambled: Array) -> Table:
    records: list[Record] = []
    for i, figure in enumerate(FIGURES):
        if np.isnan(rows.fidelity[:, i]).all():
            continue
        title = figure.replace("_", " ")
        beside = {"random": random[:, i], "shuffled": scrambled[:, i]}
        if figure == "residual_ceiling":
            del beside["shuffled"]  # a ceiling knows nothing of the pool
        own = rows.fidelity[:, i]
        among = {name: mean_of(percentiles(own, values)) for name, values in beside.items()}
        start = {"figure": figure, "of": "codes", "title": title}
        records.append({**start, **spread(own), "percentile": among})
        for name, values in beside.items():
            start = {"figure": figure, "of": name, "title": f"· {TITLES[name]}"}
            records.append({**start, **spread(values)})
    columns = (
        Column("title", "fidelity", "text"),
        Column("mean", "mean"),
        Column("sd", "sd"),
        *(Column(f"q{q:02}", f"{q}%") for q in QUANTILES[::2]),
        Column("percentile.random", "> random", "share"),
        Column("percentile.shuffled", "> shuffled", "share"),
    )
    return Table("overall", "Fidelity, all heads", columns, records)


def _heads(rows: Explained, random: Array, scrambled: Array | None) -> Table:
    records: list[Record] = []
    for place, mine in rows.heads():
        record: Record = {**place, "count": int(mine.sum())}
        for i, figure in enumerate(FIGURES):
            own = rows.fidelity[mine, i]
            record[figure] = None
            if not np.isnan(own).all():
                among = {"random": mean_of(percentiles(own, random[:, i]))}
                record[figure] = {**spread(own), "percentile": among}
                record[figure]["random"] = mean_of(random[:, i])
                if scrambled is not None and figure != "residual_ceiling":
                    among["shuffled"] = mean_of(percentiles(own, scrambled[mine, i]))
                    record[figure]["shuffled"] = mean_of(scrambled[mine, i])
        records.append(record)
    columns = (
        Column("layer", "layer", "count"),
        Column("head", "head", "count"),
        Column("feature.mean", "feature"),
        Column("feature.shuffled", "shuffled"),
        Column("feature.percentile.random", "> random", "share"),
        Column("residual.mean", "residual"),
        Column("residual_ceiling.mean", "ceiling"),
        Column("residual.percentile.random", "> random", "share"),
    )
    return Table("heads", "Fidelity, mean by head", columns, records)


def spread(values: Array) -> Record:
    """How many there are, their mean, standard deviation and quantiles."""
    known = values[~np.isnan(values)]
    quantiles = np.percentile(known, QUANTILES)
    return {
        "count": len(known),
        "mean": float(known.mean()),
        "sd": float(known.std()),
        **{f"q{q:02}": float(x) for q, x in zip(QUANTILES, quantiles, strict=True)},
    }


def _notes(own: bool, repeatable: bool, no_residual: bool) -> tuple[str, ...]:
    notes = [
        "> random: the share of random directions that are explained less well, on average; 50% "
        "is chance. > shuffled: of the shuffled pool's explanations. Its concepts are alike in "
        "nothing and fill the space evenly, which alone makes for fidelity: it says what a cosine "
        "of this size is worth",
    ]
    if not own:
        notes.append(
            "the vectors themselves are not at hand: the shuffled pool codes random directions; "
            "--spectra FILE has it code the vectors"
        )
    if not repeatable:
        notes.append(IMPORTED)
    if no_residual:
        notes.append("no residual fidelity: the read-out is more than a norm and a linear map")
    return tuple(notes)


IMPORTED = (
    "the codes are imported, and how their concepts were selected cannot be repeated: chance is "
    "what COMP with λ 0.3 makes, and may be above or below that of the method itself"
)
