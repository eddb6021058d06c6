"""What a head comes to, in a few figures: how much it writes, and how well that is explained. No
torch here: a report of cached codes must come at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sithctl.kinds import Array, Codes, Concepts, HeadFactors, Heads, LayerCodes, Spectra

TRUSTED = 2  # grades A and B


@dataclass(frozen=True)
class HeadFigures:
    """A head in figures. Means are over its explanations, weighted by their vectors' σ².

    Attributes:
        energy: Σσ² of the whole head, whatever rank was explained.
        share, share_of_layer: of all the codes' heads together, and of its layer's.
        fidelity: mean feature fidelity; None where the read-out has none.
        coherence: mean pairwise cosine of an explanation's concepts; None where none has two.
        trusted: the share of σ² explained with grade A or B; None where nobody has graded.
    """

    layer: int
    head: int
    energy: float
    share: float
    share_of_layer: float
    fidelity: float | None
    coherence: float | None
    trusted: float | None


def summarise(side: Sequence[Codes]) -> dict[tuple[int, int], HeadFigures]:
    """The figures of every head, by layer and head.

    Args:
        side: codes of one model, each with layers of its own.
    """
    places = {layer: (codes, codes.layers[layer]) for codes in side for layer in codes.layers}
    energies = {
        layer: [total_energy(*pair) for pair in zip(v.singular_values, v.energy, strict=True)]
        for layer, (_, v) in sorted(places.items())
    }
    total = sum(map(sum, energies.values()))
    return {
        (layer, head): _figures(
            places[layer][0].concepts,
            places[layer][1],
            (layer, head),
            (energy, energy / (total or 1), energy / (sum(here) or 1)),
        )
        for layer, here in energies.items()
        for head, energy in enumerate(here)
    }


def _figures(
    concepts: Concepts,
    values: LayerCodes,
    place: tuple[int, int],
    energies: tuple[float, float, float],
) -> HeadFigures:
    head, grade = place[1], values.grade
    energy = values.energy[head]
    return HeadFigures(
        *place,
        *energies,
        weighted_mean(values.fidelity[head, :, :, 0], energy),
        weighted_mean(coherence(concepts, values.indices[head]), energy),
        None if grade is None else weighted_mean(grade[head] <= TRUSTED, energy),
    )


def total_energy(singular_values: Array, energy: Array) -> float:
    """Σσ² of a whole head from the vectors that were kept: each knows its share of it.

    Args:
        singular_values, energy: (rank,), σ and σ²/Σσ².
    """
    kept = float(np.sum(energy, dtype=np.float64))
    squares = float(np.sum(np.square(singular_values, dtype=np.float64)))
    return squares / kept if kept > 0 else 0.0


def coherence(concepts: Concepts, indices: Array) -> Array:
    """How alike the concepts of each explanation are, in the pool's centred embedding.

    Args:
        concepts: those that ``indices`` mean.
        indices: (…, K) into the pool, −1 where unused.

    Returns:
        (…) mean pairwise cosines; NaN where there are fewer than two concepts.
    """
    used = indices >= 0
    if not used.any():
        return np.full(indices.shape[:-1], np.nan)
    rows = np.searchsorted(concepts.indices, np.where(used, indices, concepts.indices[:1]))
    vectors = concepts.vectors[rows] * used[..., None]
    count = used.sum(-1)
    # |Σv|² holds every pair twice, and each vector with itself.
    own = np.square(vectors).sum((-2, -1), dtype=np.float64)
    pairs = np.square(vectors.sum(-2)).sum(-1, dtype=np.float64) - own
    return np.where(count > 1, pairs / np.maximum(count * (count - 1), 1), np.nan)


def weighted_mean(values: Array, weights: Array) -> float | None:
    """The mean of what is known; None where nothing is, or nothing weighs.

    Args:
        values: (rank, poles), NaN where unknown.
        weights: (rank,), alike for both poles.

    >>> weighted_mean(np.array([[0.5, np.nan], [0.8, 0.6]]), np.array([0.25, 0.75]))
    0.671...
    """
    shared = np.broadcast_to(weights[:, None], values.shape)
    known = ~np.isnan(values)
    total = float(shared[known].sum(dtype=np.float64))
    if total <= 0:
        return None
    return float(np.sum(values[known] * shared[known], dtype=np.float64)) / total


def shared_layers(left: Iterable[Codes], right: Iterable[Codes]) -> list[int]:
    """The layers that both sides have with as many heads, ascending: those that can be compared."""
    ours, theirs = _heads(left), _heads(right)
    return sorted(layer for layer in ours if ours[layer] == theirs.get(layer))


def _heads(side: Iterable[Codes]) -> dict[int, int]:
    return {
        layer: len(values.singular_values)
        for codes in side
        for layer, values in codes.layers.items()
    }


def energies(weights: Heads | Spectra) -> dict[int, Array]:
    """How much every head writes, whatever it reads: Σσ² = ‖A B‖².

    Args:
        weights: from ``fold`` or ``svd``.

    Returns:
        (heads,) float64, by layer.
    """
    if isinstance(weights, Spectra):
        spectra = weights.layers.items()
        return {n: np.square(s.singular_values, dtype=np.float64).sum(-1) for n, s in spectra}
    return {layer: _squared_norms(factors) for layer, factors in weights.layers.items()}


def _squared_norms(factors: HeadFactors) -> Array:
    """tr(AᵀA BBᵀ): products as small as a head."""
    A, B = factors.value.astype(np.float64), factors.output.astype(np.float64)
    return ((A.transpose(0, 2, 1) @ A) * (B @ B.transpose(0, 2, 1))).sum((-2, -1))
