"""Grade explanations: the signs measured, and the codes that carry what they come to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from sithctl.evaluation.chance import SAMPLES, Chance, percentiles
from sithctl.evaluation.explained import Explained, joined
from sithctl.evaluation.grades import Signs
from sithctl.evaluation.matching import (
    check_explains,
    check_spectra,
    options_of,
    own_dictionary,
    own_mean,
    vectors_explained,
)
from sithctl.evaluation.results import Progress, Record, Tell, untold
from sithctl.evaluation.stability import stability
from sithctl.kinds import Array, Codes, Mean, Pool, Spectra, entry
from sithctl.models.readout import centred_features
from sithctl.stages.fitting import mean_vector

REPEATS = 10
STAGE = "eval trust"


@dataclass(frozen=True)
class Trust:
    """Explanations with their signs, grades and reasons, and the codes that carry them;
    ``of_random``: the grades that explanations of random directions get."""

    rows: Explained
    signs: Signs
    grades: Array
    reasons: Array
    of_random: Array
    codes: Codes
    repeatable: bool
    settings: Record


def grade(
    codes: Codes,
    spectra: Spectra,
    pool: Pool,
    mean: Mean | None = None,
    *,
    repeats: int = REPEATS,
    samples: int = SAMPLES,
    seed: int = 0,
    device: str = "cpu",
    progress: Tell = untold,
) -> Trust:
    """Grade every explanation: see ``sithctl.evaluation.grades`` for what a grade means.

    Args:
        codes: from ``decompose``.
        spectra, pool: that they were made from.
        mean: checked against the codes' own, which is used.
        repeats: random halves of the pool that the vectors are explained by again.
        samples: random directions for chance.
        seed: of both.
        device: where the pursuit runs.
        progress: called with (pursuits done, in all).

    Raises:
        InputError: a pool, spectra or mean that the codes were not made with.
    """
    codes = ungraded(codes)
    rows = check_explains(codes)
    dictionary = own_dictionary(codes, pool)
    check_spectra(codes, spectra)
    options, repeatable = options_of(codes)
    mu = mean_vector(own_mean(codes, mean), len(codes.mean))
    steps = Progress(progress, 1 + repeats * repeatable)
    chance = Chance(codes, options, mu, device)
    drawn = chance.random_vectors(samples, seed)
    random = chance.explained(drawn, dictionary)
    steps.step()
    both = joined(rows, random)  # graded together: what the thresholds make of random directions
    jaccard = overlap = np.full(len(both.indices), np.nan)
    if repeatable:
        vectors = torch.cat([vectors_explained(codes, spectra).to(drawn), drawn])
        targets = centred_features(vectors, codes.readout, mu)
        jaccard, overlap = stability(
            both, targets, pool, options, repeats=repeats, seed=seed, device=device, steps=steps
        )
    every = Signs(
        np.logical_not(both.used.any(1)),
        both.degenerate,
        jaccard,
        overlap,
        percentiles(both.fidelity[:, 0], random.fidelity[:, 0]),
        poles_overlap(both),
    )
    count = len(rows.indices)
    signs, of_random = every[:count], every[count:].grades()[0]
    grades, reasons = signs.grades()
    settings = {"repeats": repeats, "samples": samples, "seed": seed}
    # Not the spectra's: those of more or fewer layers have other digests, and give the same.
    step = entry(STAGE, settings, {"codes": codes.digest, "pool": pool.digest})
    graded = with_grades(codes, grades, reasons).with_history((*codes.history, step))
    return Trust(rows, signs, grades, reasons, of_random, graded, repeatable, settings)


def poles_overlap(rows: Explained) -> Array:
    """(n,) Σ min of the two poles' coefficients, as shares, over the concepts that both name; NaN
    where one pole alone is explained, or has no concept."""
    if rows.poles != 2:
        return np.full(len(rows.indices), np.nan)
    weights = rows.weights
    same = (rows.indices[::2, :, None] == rows.indices[1::2, None, :]) & rows.used[::2, :, None]
    both = np.minimum(weights[::2, :, None], weights[1::2, None, :])
    named = rows.used[::2].any(1) & rows.used[1::2].any(1)
    return np.repeat(np.where(named, (same * both).sum((1, 2)), np.nan), 2)


def with_grades(codes: Codes, grades: Array, reasons: Array) -> Codes:
    """A copy of the codes that carries (n,) grades and reasons, in the order of ``Explained``."""
    layers, start = {}, 0
    for layer in sorted(codes.layers):
        shape = codes.layers[layer].indices.shape[:3]
        rows = slice(start, start + int(np.prod(shape)))
        start = rows.stop
        layers[layer] = replace(
            codes.layers[layer],
            grade=grades[rows].reshape(shape),
            reasons=reasons[rows].reshape(shape),
        )
    return replace(codes, layers=layers)


def ungraded(codes: Codes) -> Codes:
    """The codes as they were before they were graded, so that to grade again is to grade anew."""
    if not any(values.grade is not None for values in codes.layers.values()):
        return codes
    layers = {n: replace(v, grade=None, reasons=None) for n, v in codes.layers.items()}
    history = tuple(stage for stage in codes.history if stage["stage"] != STAGE)
    return replace(codes, layers=layers, history=history)
