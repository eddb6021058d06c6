"""The reference project's decompositions: a ``.pt`` file a layer with ``scores`` and ``indices``.

Its public code names them ``layer-20_right_foldln_conceptnet_comp-0.3_sparsity-5.pt``: layer, side,
whether LayerNorm is folded in, dictionary, method, sparsity, apart by underscores. It explains +v
alone; ours of −v lie in a folder ``minus`` beside them, under the same names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sithctl.artifacts.streams import check_target, readable, writable
from sithctl.errors import InputError
from sithctl.kinds import Array, Codes, LayerCodes

LAYER = re.compile(r"layer[-_]?(\d+)(?!\d)")
SIDE = re.compile(r"_(left|right)[-_](foldln|nofoldln)(?:_|$)")
METHODS = {"nnomp": "omp", "top-k": "topk"}  # where its names are not ours
FOLDERS = {"+": "", "-": "minus"}


@dataclass(frozen=True)
class Decomposition:
    """One layer's explanations as the reference has them.

    Attributes:
        scores: (heads, rank, K) float32, or (heads · rank, K); 0 where unused.
        indices: of the same shape, int64 into the dictionary.
        layer: where the file's name says it.
        side: ``left`` or ``right``, where the name says it.
        plain: LayerNorm is not folded in, where the name says it.
    """

    scores: Array
    indices: Array
    layer: int | None = None
    side: str | None = None
    plain: bool | None = None


def read_decomposition(path: Path) -> Decomposition:
    """One file of the reference, and what its name says.

    Raises:
        InputError: it is missing or none of the reference's, or its numbers are no explanation.
    """
    import torch

    with readable(path) as real:
        try:
            content = torch.load(real, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises a dozen types for a bad file
            raise InputError("not a whole .pt file of tensors", path, "save it again") from error
    if not isinstance(content, dict) or not {"scores", "indices"} <= set(content):
        raise InputError("no scores and indices", path, 'expected {"scores": …, "indices": …}')
    scores, indices = content["scores"], content["indices"]
    if not (torch.is_tensor(scores) and torch.is_tensor(indices)):
        raise InputError("scores or indices are no tensors", path, "save tensors")
    if indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool:
        raise InputError(f"indices are {indices.dtype}", path, "expected whole numbers")
    if scores.shape != indices.shape or scores.ndim not in (2, 3):
        shapes = f"scores {tuple(scores.shape)}, indices {tuple(indices.shape)}"
        raise InputError(shapes, path, "expected (heads, rank, K) twice")
    numbers = scores.detach().float().numpy()
    if not (np.isfinite(numbers).all() and (numbers >= 0).all()):
        raise InputError("scores that are negative or NaN", path, "expected coefficients ≥ 0")
    return Decomposition(numbers, indices.long().numpy(), *_told(path.name))


def _told(name: str) -> tuple[int | None, str | None, bool | None]:
    layer, side = LAYER.search(name), SIDE.search(name.removesuffix(".pt"))
    return (
        int(layer[1]) if layer else None,
        side[1] if side else None,
        side[2] == "nofoldln" if side else None,
    )


def file_name(codes: Codes, layer: int, dictionary: str) -> str:
    """A layer's file in the reference's scheme."""
    parameters = codes.parameters
    method = METHODS.get(parameters["method"], parameters["method"])
    if method == "comp":
        method += f"-{parameters['coherence']:g}"
    fold = "nofoldln" if parameters["plain"] else "foldln"
    dictionary = dictionary.replace("_", "-")  # underscores part the fields
    sparsity = codes.layers[layer].indices.shape[-1]
    side = parameters["side"]
    return f"layer-{layer:02d}_{side}_{fold}_{dictionary}_{method}_sparsity-{sparsity}.pt"


def targets(codes: Codes, folder: Path, dictionary: str) -> dict[Path, tuple[int, int]]:
    """Every file that codes are written to: its layer, and the place of its pole."""
    return {
        folder / FOLDERS[pole] / file_name(codes, layer, dictionary): (layer, place)
        for place, pole in enumerate(codes.poles)
        for layer in codes.layers
    }


def write_decompositions(codes: Codes, folder: Path, dictionary: str, *, force: bool) -> list[Path]:
    """Write codes as the reference does, a layer and a pole a file.

    Args:
        codes: what to write.
        folder: made where it is missing; −v goes to ``minus`` within it.
        dictionary: the pool's name in the files' names.
        force: overwrite.

    Raises:
        InputError: a file is there already, or cannot be written; or a coefficient is negative.
    """
    import torch

    files = targets(codes, folder, dictionary)
    for codes_of_layer in codes.layers.values():
        if (codes_of_layer.coefficients < 0).any():
            raise InputError("negative similarities", folder, "export another method's codes")
    try:
        for parent in {path.parent for path in files}:
            parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("cannot write", folder, error.strerror or str(error)) from error
    for path in files:
        check_target(path, force)
    for path, (layer, place) in files.items():
        scores, indices = _filled(codes.layers[layer], place)
        content = {"scores": torch.from_numpy(scores), "indices": torch.from_numpy(indices)}
        with writable(path) as part, part.open("wb") as file:
            torch.save(content, file)  # to a path it would write that path's name into the file
    return list(files)


def _filled(codes: LayerCodes, pole: int) -> tuple[Array, Array]:
    """(heads, rank, K) scores and indices of a pole, unused places filled with unused concepts.

    Its readers scatter scores by index, so that an unused place which named a used concept, such as
    0, would wipe out that concept's score.
    """
    scores, indices = codes.coefficients[:, :, pole].copy(), codes.indices[:, :, pole].copy()
    for row in indices.reshape(-1, indices.shape[-1]):
        unused = row < 0
        if unused.any():
            row[unused] = _free(row, int(unused.sum()))
    return scores, indices


def _free(row: Array, count: int) -> list[int]:
    taken = set(row.tolist())
    return [i for i in range(len(row)) if i not in taken][:count]


def layers_of(
    found: Sequence[Decomposition], files: Sequence[Path], layers: Sequence[int] | None
) -> dict[int, Decomposition]:
    """Which layer each file is of: what its name says, or in the order of ``layers``.

    Raises:
        InputError: it is not known, told twice, or told differently.
    """
    if layers is not None and len(layers) != len(files):
        raise InputError(f"{len(files)} files for {len(layers)} layers", None, "name one a file")
    result: dict[int, Decomposition] = {}
    for i, (one, file) in enumerate(zip(found, files, strict=True)):
        layer = one.layer if layers is None else layers[i]
        if layer is None:
            raise InputError("the file's name tells no layer", file, "name it with --layers")
        if one.layer not in (None, layer):
            raise InputError(
                f"the file's name says layer {one.layer}, --layers says {layer}",
                file,
                "name the files in the order of their layers",
            )
        if layer in result:
            raise InputError(f"a second file of layer {layer}", file, "give one a layer")
        result[layer] = one
    return result
