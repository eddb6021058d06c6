"""Whether two explanations of the same singular vectors say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sithctl.evaluation.bootstrap import Interval, interval, resampled
from sithctl.evaluation.common import Place, Shared, check_alike, pool_of
from sithctl.evaluation.explained import mean_along, mean_of
from sithctl.evaluation.results import Column, Evaluation, Progress, Record, Table, Tell, untold
from sithctl.kinds import Array, Codes

PERMUTATIONS = 20

Named = Mapping[str | int, float]  # a concept's share of its explanation
MEASURES = ("jaccard", "overlap")
TITLES = {"jaccard": "Jaccard", "overlap": "overlap"}


def agreement(
    codes: Codes,
    other: Codes,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    progress: Tell = untold,
) -> Evaluation:
    """How far two codes of the same vectors name the same concepts.

    Jaccard: concepts that both name as a share of those that either does. Overlap: Σ min of the
    coefficients as shares of their explanation's sum. Concepts are the same by label, whatever its
    case; where both codes come from one pool, by their place in it, too.

    Args:
        codes, other: of the same weights and side.
        permutations: of the second's explanations among vectors, for chance.
        seed: of these and of the bootstrap.
        progress: called with (comparisons done, in all).

    Returns:
        Tables ``overall`` and ``heads``.

    Raises:
        InputError: codes of other weights or sides, or without a layer and pole in common.
    """
    check_alike(codes, other)
    shared = Shared.of(codes, other)
    ways = ["label", "index"] if pool_of(codes) == pool_of(other) is not None else ["label"]
    steps = Progress(progress, len(ways) * (permutations + 1))
    found, beside = {}, {}
    for way in ways:
        first, second = (_explanations(c, shared.places, way == "index") for c in (codes, other))
        found[way] = _compared(first, second)
        steps.step()
        draws = []
        for order in shared.permutations(permutations, seed):
            draws.append(_compared(first, [second[i] for i in order]))
            steps.step()
        beside[way] = mean_along(np.array(draws))
    header = {
        "model": codes.model.name,
        "parameters": [dict(sorted(c.parameters.items())) for c in (codes, other)],
        "layers": shared.layers,
        "poles": shared.poles,
        "chance": {"permutations": permutations, "seed": seed},
    }
    tables = (_overall(shared, found, beside, seed), _heads(shared, found["label"]))
    return Evaluation("agreement", header, tables, _notes(codes, other, shared))


def _explanations(codes: Codes, places: Sequence[Place], by_index: bool) -> list[Named]:
    labels = dict(zip(codes.concepts.indices.tolist(), codes.concepts.labels, strict=True))
    result: list[Named] = []
    for layer, head, sv, pole in places:
        at = (head, sv, codes.poles.index(pole))
        pairs = zip(
            codes.layers[layer].indices[at].tolist(),
            codes.layers[layer].coefficients[at].tolist(),
            strict=True,
        )
        found: dict[str | int, float] = {}
        for index, weight in pairs:
            if index >= 0:  # labels that differ in case alone are one concept
                name = index if by_index else labels[index].casefold().strip()
                found[name] = found.get(name, 0.0) + max(weight, 0.0)
        total = sum(found.values())
        result.append({name: w / total for name, w in found.items()} if total > 0 else {})
    return result


def _compared(first: Sequence[Named], second: Sequence[Named]) -> Array:
    """(2, n) Jaccard and weighted overlap; NaN where neither names a concept."""
    pairs = zip(first, second, strict=True)
    return np.array([alike(a, b) for a, b in pairs]).T


def alike(first: Named, second: Named) -> tuple[float, float]:
    """Jaccard and Σ min of two explanations.

    >>> alike({"red": 0.5, "ring": 0.5}, {"red": 1.0})
    (0.5, 0.5)
    """
    either = first.keys() | second.keys()
    both = first.keys() & second.keys()
    if not either:
        return np.nan, np.nan
    return len(both) / len(either), sum(min(first[c], second[c]) for c in both)


def _overall(
    shared: Shared, found: Mapping[str, Array], beside: Mapping[str, Array], seed: int
) -> Table:
    records: list[Record] = []
    for way, figures in found.items():
        for i, measure in enumerate(MEASURES):
            known = ~np.isnan(figures[i])
            values, chance, sigma = figures[i][known], beside[way][i], shared.sigma[known]
            every = np.ones(len(values))
            record: Record = {"matched_by": way, "measure": measure, "count": len(values)}
            record["title"] = f"{TITLES[measure]}, by {way}"
            record["mean"] = _weighted(values, every, seed)
            record["sigma_weighted"] = _weighted(values, sigma, seed)
            record["chance"] = mean_of(chance)
            record["sigma_weighted_chance"] = _average(chance, shared.sigma)
            records.append(record)
    columns = (
        Column("title", "agreement", "text"),
        Column("mean", "mean"),
        Column("chance", "chance"),
        Column("sigma_weighted", "σ-weighted"),
        Column("sigma_weighted_chance", "chance"),
    )
    return Table("overall", "Agreement, all heads (95% intervals)", columns, records)


def _weighted(values: Array, weights: Array, seed: int) -> dict[str, float] | None:
    """The weighted mean with its bootstrap interval, numerator and denominator drawn alike."""
    if not len(values) or weights.sum() <= 0:
        return None
    draws = resampled(values * weights, seed) / resampled(weights, seed)
    figure: Interval = interval(float(np.average(values, weights=weights)), draws)
    return figure.document()


def _average(values: Array, weights: Array) -> float | None:
    known = ~np.isnan(values)
    if weights[known].sum() <= 0:
        return None
    return float(np.average(values[known], weights=weights[known]))


def _heads(shared: Shared, figures: Array) -> Table:
    heads = np.array([place[:2] for place in shared.places])
    records: list[Record] = []
    for layer, head in np.unique(heads, axis=0).tolist():
        mine = (heads == (layer, head)).all(1)
        record: Record = {"layer": layer, "head": head, "count": int(mine.sum())}
        for i, measure in enumerate(MEASURES):
            record[measure] = _average(figures[i][mine], np.ones(int(mine.sum())))
            weighted = _average(figures[i][mine], shared.sigma[mine])
            record[f"sigma_weighted_{measure}"] = weighted
        records.append(record)
    columns = (
        Column("layer", "layer", "count"),
        Column("head", "head", "count"),
        Column("count", "n", "count"),
        Column("jaccard", "Jaccard"),
        Column("sigma_weighted_jaccard", "σ-weighted"),
        Column("overlap", "overlap"),
        Column("sigma_weighted_overlap", "σ-weighted"),
    )
    return Table("heads", "Agreement by head, matched by label", columns, records)


def _notes(codes: Codes, other: Codes, shared: Shared) -> tuple[str, ...]:
    notes = ["chance: the second codes' explanations put to other vectors at random"]
    left = (set(codes.layers) | set(other.layers)) - set(shared.layers)
    if left:
        notes.append(
            f"explained by one of the two alone: layer {', '.join(map(str, sorted(left)))}"
        )
    poles = set(codes.poles) ^ set(other.poles)
    if poles:
        notes.append(f"explained by one of the two alone: pole {' '.join(sorted(poles))}")
    return tuple(notes)
