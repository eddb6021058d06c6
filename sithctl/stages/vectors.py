"""Which singular vectors are explained, as rows one after another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import Spectra
from sithctl.stages.layers import select_layers
from sithctl.stages.options import SIGN, Options

LAST = 4  # layers explained unless told: the paper's

Shape = tuple[int, int]


def chosen_layers(spectra: Spectra, layers: str | int | Sequence[int] | None) -> list[int]:
    """The layers named, ascending; the last four that the spectra hold when None."""
    have = sorted(spectra.layers)
    name = spectra.model.name or "spectra"
    if layers is None:
        return have[-LAST:]
    count = int(spectra.architecture["layers"])
    chosen = select_layers(layers, count, name, hint="sithctl fold MODEL folds another")
    missing = [layer for layer in chosen if layer not in have]
    if missing:
        raise InputError(
            f"the spectra lack layer {missing[0]}",
            name,
            f"they hold {', '.join(map(str, have))}; fold and decompose the layers you want",
        )
    return chosen


def vectors_of(spectra: Spectra, layers: list[int], options: Options) -> tuple[Tensor, list[Shape]]:
    """Every vector to explain, (n, width) float64: layers, heads, vectors, poles; and each layer's
    (heads, rank)."""
    signs = torch.tensor([SIGN[pole] for pole in options.poles], dtype=torch.float64)
    parts, shapes = [], []
    for layer in layers:
        spectrum = spectra.layers[layer]
        kept = spectrum.right.shape[1] if options.rank is None else options.rank
        if not 1 <= kept <= spectrum.right.shape[1]:
            raise InputError(
                f"no rank {options.rank}",
                spectra.model.name,
                f"the spectra keep 1 to {spectrum.right.shape[1]} vectors a head",
            )
        side = spectrum.right if options.side == "right" else spectrum.left
        rows = torch.from_numpy(side[:, :kept]).double()
        # The minus pole is read out from −v: the mean and the biases do not change sign with it.
        parts.append((rows.unsqueeze(2) * signs.view(1, 1, -1, 1)).flatten(0, 2))
        shapes.append((rows.shape[0], kept))
    return torch.cat(parts), shapes
