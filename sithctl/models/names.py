"""How a family's tensors are called: names are data, and reading them is one piece of code.

``{l}`` stands for the layer. A name is below the tower's prefix (``vit.``, ``visual.``, …) unless
it starts with ``/``: then it is counted from the checkpoint's root, beside the tower.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Matrix:
    """A linear map as stored.

    Attributes:
        weight: the tensor's name in full.
        biases: names that its bias may have, each with the share of it that is the map's; the
            first that is there counts, none may be.
        share: the map is the last 1/share of the rows (fused queries, keys and values: 3).
        transposed: stored (in, out), to multiply row vectors, where a Linear stores (out, in).
    """

    weight: str
    biases: tuple[tuple[str, int], ...] = ()
    share: int = 1
    transposed: bool = False


def linear(name: str, share: int = 1) -> Matrix:
    """A Linear layer's map: ``name.weight`` and ``name.bias``."""
    return Matrix(f"{name}.weight", ((f"{name}.bias", share),), share)


def packed(name: str) -> Matrix:
    """The value part of torch's multi-head attention: ``in_proj_weight`` and ``in_proj_bias``."""
    return Matrix(f"{name}.in_proj_weight", ((f"{name}.in_proj_bias", 3),), 3)


@dataclass(frozen=True)
class Layout:
    """One layer's tensors.

    Attributes:
        norm: the norm before attention, without ``.weight``.
        value: the value projection.
        output: the output projection.
        scale: names that a vector may have which multiplies what attention writes (LayerScale).
        always: names of what this family never lacks, though others may: a checkpoint without it is
            torn, not of a kind without it.
    """

    norm: str
    value: Matrix
    output: Matrix
    scale: tuple[str, ...] = ()
    always: tuple[str, ...] = ()


@dataclass(frozen=True)
class NormPart:
    """A norm of the read-out; the first of ``names`` that is there.

    Attributes:
        when: a tensor whose presence says that the model has this part; always, when None.
    """

    names: tuple[str, ...]
    when: str | None = None


@dataclass(frozen=True)
class LinearPart:
    """A linear map of the read-out."""

    matrix: Matrix
    when: str | None = None


@dataclass(frozen=True)
class MlpPart:
    """Two linear maps with an activation between.

    Attributes:
        norm: before them, inside the residual branch; None where there is neither norm nor
            residual.
    """

    first: Matrix
    second: Matrix
    norm: str | None = None
    when: str | None = None


Part = NormPart | LinearPart | MlpPart


def norm(*names: str, when: str | None = None) -> NormPart:
    return NormPart(names, when)


def optional_norm(name: str) -> NormPart:
    return NormPart((name,), f"{name}.weight")


def pooling_head(value: Matrix, output: Matrix, when: str) -> tuple[LinearPart, LinearPart]:
    """An attention-pooling head: over one token attention is 1, so it is a value map and an output
    map; exact for one token, an approximation for many, as every read-out is (method: read-out).
    """
    return LinearPart(value, when), LinearPart(output, when)


def is_outside(part: Part) -> bool:
    """Whether a part of the read-out lies beside the tower, not in it."""
    if isinstance(part, LinearPart):
        return part.matrix.weight.startswith("/")
    return isinstance(part, MlpPart) and part.first.weight.startswith("/")
