"""Whether a pool and a mean belong to the spectra they are used with, and which mean to use."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import Codes, Mean, Pool, Spectra
from sithctl.scenes.bundled import bundled_mean
from sithctl.stages.mean import mean_of_pool


def check_pool(spectra: Spectra | Codes, pool: Pool) -> None:
    """Refuse a pool of another model or of another size."""
    features = spectra.readout.features
    where = f"pool of {pool.model.name or 'no named model'}, {spectra.kind} of {spectra.model.name}"
    if pool.model.space is not None and pool.model.space != spectra.model.space:
        todo = (
            f"encode it with `sithctl encode-pool --model`, naming the model of the {spectra.kind}"
        )
        raise InputError("the pool was encoded by another model", where, todo)
    shape = pool.embeddings.shape
    if len(shape) != 2 or shape[1] != features:
        found = f"{shape[1]} features" if len(shape) == 2 else f"embeddings of shape {shape}"
        raise InputError(
            f"the pool has {found}, the model {features}",
            where,
            "encode the pool with this model",
        )
    if pool.model.space is None:
        warnings.warn("the pool does not say whose embeddings it holds: not checked", stacklevel=3)


def resolve_mean(
    spectra: Spectra, pool: Pool | None, mean: Mean | Literal["none"] | None
) -> Mean | None:
    """The mean to use: the given one, that of a pool of the tower's own modality, or the bundled
    model's.

    Args:
        spectra: what is to be explained.
        pool: None for a text pool that is still to be encoded.
        mean: what the user gave.

    Returns:
        A mean that fits the spectra, or None for ``"none"``.

    Raises:
        InputError: there is none, or it is of another model.
    """
    if mean == "none":
        return None
    if mean is None:
        mean = _own_mean(spectra, pool)
    if mean is None:
        raise _no_mean(spectra)
    _check_mean(spectra, mean)
    return mean


def _no_mean(spectra: Spectra) -> InputError:
    if spectra.architecture.get("tower") == "text":
        return InputError(
            "an image pool needs the mean of the model's text features, for texts and images lie "
            "apart in the feature space",
            spectra.model.name,
            'give a pool of texts, or --mean none (in Python mean="none")',
        )
    return InputError(
        "a text pool needs the mean of the model's image features, for texts and images lie "
        "apart in the feature space",
        spectra.model.name,
        "make one with `sithctl mean IMAGES` and give --mean FILE, or --mean none (in Python "
        'mean="none")',
    )


def _own_mean(spectra: Spectra, pool: Pool | None) -> Mean | None:
    """The mean of a pool of the tower's own modality, else the bundled model's of images."""
    text_tower = spectra.architecture.get("tower", "vision") == "text"
    if pool is not None and pool.modality == ("text" if text_tower else "image"):
        return mean_of_pool(pool)
    return None if text_tower else bundled_mean(spectra.model.space)


def _check_mean(spectra: Spectra, mean: Mean) -> None:
    features = spectra.readout.features
    where = f"mean of {mean.model.name or 'no named model'}, spectra of {spectra.model.name}"
    if mean.sum.shape[0] != features:
        raise InputError(
            f"the mean has {mean.sum.shape[0]} features, the model {features}",
            where,
            "make it with `sithctl mean --model`, naming the spectra's model",
        )
    if mean.model.space is not None and mean.model.space != spectra.model.space:
        raise InputError(
            "the mean is of another model's features",
            where,
            "make it with `sithctl mean --model`, naming the spectra's model",
        )
    length = float(np.linalg.norm(mean.mean))
    if not length <= 1.001:  # NaN too
        raise InputError(
            f"the mean has norm {length:.3g}, and a mean of unit-norm features at most 1",
            where,
            "normalise the features before taking their mean",
        )
    if mean.model.space is None:
        warnings.warn("the mean does not say whose features it is of: not checked", stacklevel=4)


def mean_vector(mean: Mean | None, features: int) -> Tensor:
    """μ, (features,) float64; zero for none."""
    if mean is None:
        return torch.zeros(features, dtype=torch.float64)
    return torch.from_numpy(mean.mean).double()
