"""Whether a pool, spectra or a mean are those that codes were made with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.evaluation.explained import Explained
from sithctl.kinds import Codes, Mean, Pool, Spectra
from sithctl.models.locate import BUNDLED
from sithctl.models.opening import open_model
from sithctl.pursuit.methods import METHODS
from sithctl.stages.centring import centre_pool
from sithctl.stages.fitting import check_pool
from sithctl.stages.fold import fold
from sithctl.stages.options import Options
from sithctl.stages.svd import svd
from sithctl.stages.vectors import vectors_of

ROUNDING = 1e-3  # between the same rows or singular values, computed on two machines


def options_of(codes: Codes) -> tuple[Options, bool]:
    """How codes were made, and whether that can be repeated: of imported ones only K is known, and
    COMP with its own λ stands in."""
    known, poles = codes.parameters, codes.poles
    repeatable = known["method"] in METHODS
    coherence = known["coherence"]
    options = Options(
        known["method"] if repeatable else "comp",
        known["sparsity"],
        Options.coherence if coherence is None else coherence,
        side=known["side"],
        pole="both" if len(poles) == 2 else poles[0],
        degenerate_gap=known["degenerate_gap"],
    )
    return options, repeatable


def own_dictionary(codes: Codes, pool: Pool) -> Tensor:
    """The pool's (M, features) centred unit rows.

    Raises:
        InputError: it is not the pool that the codes' indices count in.
    """
    check_pool(codes, pool)
    where = f"pool of {len(pool.concepts)} concepts, codes of {codes.model.name}"
    todo = "give the pool that the codes were made with"
    indices, labels = codes.concepts.indices, codes.concepts.labels
    for index, label in zip(indices.tolist(), labels, strict=True):
        if index >= len(pool.concepts) or pool.concepts[index] != label:
            has = repr(pool.concepts[index]) if index < len(pool.concepts) else "none"
            what = f"concept {index} of the codes is {label!r}, and of the pool {has}"
            raise InputError(what, where, todo)
    dictionary, _ = centre_pool(pool.embeddings, where)
    if not np.allclose(dictionary[indices].numpy(), codes.concepts.vectors, atol=ROUNDING):
        raise InputError("the pool's embeddings are not those of the codes", where, todo)
    return dictionary


def check_spectra(codes: Codes, spectra: Spectra) -> None:
    """Refuse spectra of other weights, or without the vectors that the codes explain."""
    where = f"spectra of {spectra.model.name}, codes of {codes.model.name}"
    todo = "give the spectra that the codes were made from"
    if spectra.model.space != codes.model.space:
        raise InputError("the spectra are of another model", where, todo)
    if spectra.plain != codes.parameters["plain"]:
        raise InputError("one of the two was folded with --plain", where, todo)
    for layer, values in codes.layers.items():
        if layer not in spectra.layers:
            raise InputError(f"the spectra lack layer {layer}", where, todo)
        ours, theirs = codes.model.layers.get(layer), spectra.model.layers.get(layer)
        rank = values.singular_values.shape[1]
        spectrum = spectra.layers[layer]
        if spectrum.right.shape[1] < rank:
            kept = spectrum.right.shape[1]
            raise InputError(f"{kept} vectors a head where {rank} are explained", where, todo)
        sigma = spectrum.singular_values[:, :rank]
        same = sigma.shape == values.singular_values.shape and np.allclose(
            sigma, values.singular_values, rtol=ROUNDING, atol=ROUNDING * float(sigma.max())
        )
        if ours != theirs or not same:
            raise InputError(f"layer {layer} has other weights", where, todo)


def vectors_explained(codes: Codes, spectra: Spectra) -> Tensor:
    """(n, width) float64, the vectors that the codes explain, in the order of ``Explained``."""
    options, _ = options_of(codes)
    parts = []
    for layer in sorted(codes.layers):
        rank = codes.layers[layer].singular_values.shape[1]
        parts.append(vectors_of(spectra, [layer], replace(options, rank=rank))[0])
    return torch.cat(parts)


def spectra_at_hand(codes: Codes) -> Spectra | None:
    """The spectra that a bundled model's codes were made from, made again; None of any other."""
    name = codes.model.name
    if name not in BUNDLED:
        return None
    tower, plain = codes.architecture.get("tower", "vision"), codes.parameters["plain"]
    if open_model(name, tower=tower).space != codes.model.space:
        return None
    heads = fold(name, sorted(codes.layers), tower=tower, plain=plain)
    known = codes.model.layers
    if any(heads.model.layers[layer] != known.get(layer) for layer in codes.layers):
        return None  # an edited copy in a folder of the same name
    return svd(heads)


def own_mean(codes: Codes, mean: Mean | None) -> Mean:
    """The mean that the codes carry, as one that stages take.

    Raises:
        InputError: ``mean`` is given and is another.
    """
    given = None if mean is None else mean.mean
    if given is not None and (
        given.shape != codes.mean.shape or not np.allclose(given, codes.mean, atol=ROUNDING)
    ):
        where = f"codes of {codes.model.name}"
        raise InputError("the mean is not the codes' own", where, "leave out --mean: they carry it")
    return Mean(replace(codes.model, layers={}), (), codes.mean.astype(np.float64), 1)


def check_explains(codes: Codes) -> Explained:
    """The codes' explanations; refuse codes without any."""
    rows = Explained.of(codes) if codes.layers else None
    if rows is None or not rows.used.any():
        raise InputError("no explanation has a concept", codes.model.name, "decompose again")
    return rows
