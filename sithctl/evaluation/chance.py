"""What the same coder makes of directions and of pools that mean nothing (method: fidelity)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.evaluation.explained import Explained
from sithctl.kinds import Array, Codes, Pool
from sithctl.models.readout import centred_features
from sithctl.stages.centring import centre_pool
from sithctl.stages.decompose import code
from sithctl.stages.fidelity import fidelity
from sithctl.stages.options import SIGN, Options

SAMPLES = 300


@dataclass(frozen=True)
class Chance:
    """The coder of some codes, and where they stand.

    Attributes:
        options: how to code.
        mean: (features,) float64, μ.
        device: where the pursuit runs.
    """

    codes: Codes
    options: Options
    mean: Tensor
    device: str = "cpu"

    def figures(
        self,
        vectors: Tensor,
        dictionary: Tensor,
        progress: Callable[[int, int], None] | None = None,
    ) -> Array:
        """(n, 3) fidelity of the explanations of (n, width) vectors by (M, features) unit rows."""
        readout = self.codes.readout
        targets = centred_features(vectors, readout, self.mean)
        found = code(targets, dictionary, self.options, device=self.device, progress=progress)
        return fidelity(vectors, targets, found, dictionary, readout, self.mean).numpy()

    def explained(self, vectors: Tensor, dictionary: Tensor) -> Explained:
        """The explanations of (n, width) vectors, which are in no layer and no head: numbers −1."""
        readout = self.codes.readout
        targets = centred_features(vectors, readout, self.mean)
        found = code(targets, dictionary, self.options, device=self.device)
        figures = fidelity(vectors, targets, found, dictionary, readout, self.mean).numpy()
        indices, nowhere = found.indices.numpy(), np.full(len(vectors), -1)
        weights = found.coefficients.numpy().astype(np.float64)
        used = np.where(indices >= 0, np.maximum(weights, 0.0), 0.0)
        at = (nowhere, nowhere, nowhere, nowhere)
        known = (np.ones(len(vectors)), np.zeros(len(vectors), bool), figures)
        return Explained(len(self.codes.poles), *at, indices, used, *known)

    def random_vectors(self, count: int, seed: int) -> Tensor:
        """(count · poles, width) float64 residual directions, drawn as the real vectors are.

        Unit rows; without a mean where heads are centred; each with the poles that the codes have.
        """
        codes = self.codes
        width = int(codes.architecture["width"])
        drawn = torch.from_numpy(np.random.default_rng(seed).standard_normal((count, width)))
        if is_centred(codes):
            drawn = drawn - drawn.mean(1, keepdim=True)
        signs = torch.tensor([SIGN[pole] for pole in codes.poles], dtype=torch.float64)
        return (F.normalize(drawn, dim=1).unsqueeze(1) * signs.view(1, -1, 1)).flatten(0, 1)


def is_centred(codes: Codes) -> bool:
    """Whether the codes' vectors have no mean: where every reader is a LayerNorm, unless plain."""
    return codes.architecture.get("norm") == "layer-norm" and not codes.parameters["plain"]


def shuffled(pool: Pool, seed: int) -> Tensor:
    """The pool with shuffled coordinates, as (M, features) centred unit rows."""
    unit = F.normalize(torch.from_numpy(pool.embeddings).float(), dim=-1).numpy()
    return centre_pool(shuffled_coordinates(unit, seed))[0]


def shuffled_coordinates(rows: Array, seed: int) -> Array:
    """Each coordinate's values permuted among rows: every coordinate keeps its distribution, and no
    concept its meaning."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(column) for column in rows.T], axis=1)


def percentiles(values: Array, chance: Array) -> Array:
    """(n,) for each value the share of ``chance`` that is below it, ties counting half.

    >>> percentiles(np.array([0.0, 2.0]), np.array([1.0, 2.0, 2.0, 3.0]))
    array([0. , 0.5])
    """
    ordered = np.sort(chance[~np.isnan(chance)])
    if not len(ordered):
        return np.full(len(values), np.nan)
    below = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.where(np.isnan(values), np.nan, below / (2 * len(ordered)))
