"""What is to be explained, and by what: spectra, pool and mean that fit together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from sithctl.kinds import Mean, Pool, Spectra
from sithctl.models.readout import centred_features
from sithctl.stages.centring import CentredPool
from sithctl.stages.fitting import check_pool, mean_vector, resolve_mean
from sithctl.stages.options import Options
from sithctl.stages.vectors import Shape, chosen_layers, vectors_of


@dataclass(frozen=True)
class Task:
    """What is to be explained, and by what.

    Attributes:
        mean: the one that is used; None for none.
        layers: chosen, ascending.
        mu: (features,) float64, μ.
        dictionary: (M, features) unit rows of the pool, made where they are wanted.
        vectors: (n, width) float64, of all layers, heads, ranks and poles in this order.
        shapes: each layer's heads and rank.
        targets: (n, features) float64, p̂.
    """

    spectra: Spectra
    pool: Pool
    mean: Mean | None
    options: Options
    layers: list[int]
    mu: Tensor
    dictionary: CentredPool
    vectors: Tensor
    shapes: list[Shape]
    targets: Tensor


def pose(
    spectra: Spectra,
    pool: Pool,
    mean: Mean | Literal["none"] | None,
    layers: str | int | Sequence[int] | None,
    options: Options,
) -> Task:
    """Check that spectra, pool and mean fit together, and read the vectors out."""
    check_pool(spectra, pool)
    resolved = resolve_mean(spectra, pool, mean)
    mu = mean_vector(resolved, spectra.readout.features)
    chosen = chosen_layers(spectra, layers)
    dictionary = CentredPool(pool.embeddings, f"pool of {pool.model.name}")
    vectors, shapes = vectors_of(spectra, chosen, options)
    targets = centred_features(vectors, spectra.readout, mu)
    return Task(
        spectra,
        pool,
        resolved,
        options,
        chosen,
        mu,
        dictionary,
        vectors,
        shapes,
        targets,
    )
