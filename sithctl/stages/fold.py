"""Fold LayerNorm, LayerScale and centring into the thin factors of every head's value-output
matrix (SITH, Sec. 3; method: fold)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import HeadFactors, Heads, Identity, entry
from sithctl.kinds.base import digest_of
from sithctl.models.locate import Named
from sithctl.models.model import LayerWeights, Model
from sithctl.models.opening import open_model
from sithctl.stages.heap import give_back
from sithctl.stages.layers import select_layers

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Factors:
    """One layer's heads in float64.

    Attributes:
        reader: (heads, width, head_dim), A.
        writer: (heads, head_dim, width), B.
        constant: (heads, head_dim), cv: ``cv @ B`` is written whatever is read.
    """

    reader: Tensor
    writer: Tensor
    constant: Tensor


def fold_layer(
    weights: LayerWeights, heads: int, *, plain: bool = False, centre: bool = True
) -> Factors:
    """Thin factors of one layer's value-output matrices, W_VO = A @ B on row vectors.

    Centring is exact where every reader of the residual stream is a LayerNorm: none of them sees
    the all-ones direction, neither in what a head reads nor in what it writes. An RMSNorm does.

    Args:
        weights: the layer's tensors, float64.
        heads: how many heads share what attention writes.
        plain: neither fold the norm into the reader nor centre, as SITH's own script does unless
            told. LayerScale and the constant stay.
        centre: False where norms are RMSNorms.
    """
    width = weights.norm_weight.shape[0]
    value = weights.value_weight if plain else weights.value_weight * weights.norm_weight
    reader = value.reshape(heads, -1, width).transpose(1, 2)
    output = weights.output_weight
    if weights.layer_scale is not None:
        output = output * weights.layer_scale.unsqueeze(1)
    writer = output.T.reshape(heads, -1, width)
    constant = value.new_zeros(value.shape[0])
    if weights.norm_bias is not None:
        constant = constant + weights.value_weight @ weights.norm_bias
    if weights.value_bias is not None:
        constant = constant + weights.value_bias
    if centre and not plain:
        reader = reader - reader.mean(1, keepdim=True)
        writer = writer - writer.mean(2, keepdim=True)
    return Factors(reader, writer, constant.reshape(heads, -1))


def fold(
    model: Named | Model = "scenes",
    layers: str | int | Sequence[int] | None = None,
    *,
    tower: str = "vision",
    heads: int | None = None,
    plain: bool = False,
    dtype: str = "float32",
) -> Heads:
    """Fold a model's heads: LayerNorm into what they read, LayerScale into what they write, both
    centred (SITH, Sec. 3).

    Args:
        model: a name as on the command line, a path, or an opened model.
        layers: ``20-23``, ``-4-`` or numbers; all when None.
        tower: ``vision``, or ``text`` of a model that has one.
        heads: of a bare checkpoint, which does not say how many it has.
        plain: neither fold the norm nor centre.
        dtype: of the result, ``float32`` or ``float64``; the work is done in float64.

    Returns:
        Heads with factors (heads, width, head_dim) and (heads, head_dim, width) a layer.

    Raises:
        InputError: a layer out of range, a missing tensor, NaN weights, an unknown architecture.

    >>> heads = fold("scenes", "4-5")
    >>> heads
    Heads(scenes: layers 4-5, 8 heads of 16, norm folded)
    >>> heads.layers[5].value.shape, heads.layers[5].output.shape
    ((8, 128, 16), (8, 16, 128))
    """
    model = open_model(model, tower=tower, heads=heads)
    if dtype not in DTYPES:
        raise InputError(f"no dtype {dtype} for heads", None, f"one of {', '.join(DTYPES)}")
    chosen = select_layers(layers, model.layers, model.name, hint="or name another MODEL")
    folded: dict[int, HeadFactors] = {}
    digests: dict[int, str] = {}
    for layer in chosen:
        weights = model.layer(layer)
        digests[layer] = layer_digest(weights, model.heads)
        factors = fold_layer(weights, model.heads, plain=plain, centre=model.centred)
        folded[layer] = HeadFactors(
            *(_numpy(t, dtype) for t in (factors.reader, factors.writer, factors.constant))
        )
        give_back()
    readout = model.readout
    parameters: dict[str, Any] = {
        "model": model.name,
        "layers": chosen,
        "plain": plain,
        "dtype": dtype,
    }
    if heads is not None:
        parameters["heads"] = heads
    if model.family.tower != "vision":
        parameters["tower"] = model.family.tower
    weights_digest = digest_of([readout.space, *digests.values()], {})
    return Heads(
        Identity(model.name, model.space, digests),
        (entry("fold", parameters, {"model": weights_digest}),),
        model.architecture(),
        folded,
        readout,
        plain,
    )


def layer_digest(weights: LayerWeights, heads: int) -> str:
    """Of a layer's tensors in float32, and their split into heads: the same whatever type they are
    stored in, but for float64's last bits, which no checkpoint in use has."""
    tensors = {name: t.float().numpy() for name, t in weights.named().items()}
    return digest_of({"heads": heads}, tensors)


def _numpy(tensor: Tensor, dtype: str) -> np.ndarray:
    return np.ascontiguousarray(tensor.numpy().astype(dtype))
