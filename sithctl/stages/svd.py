"""Singular value decomposition of value-output matrices from their thin factors (method: SVD)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import HeadFactors, Heads, Identity, LayerSpectra, Spectra, entry
from sithctl.models.device import check_device
from sithctl.stages.heap import give_back
from sithctl.stages.takes import check_taken


def thin_svd(reader: Tensor, writer: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """SVD of ``reader @ writer`` without forming it: QR of both, SVD of the small core.

    The entry of largest magnitude in each left vector is made positive.

    Args:
        reader: (..., width, rank), A.
        writer: (..., rank, width), B.

    Returns:
        U (..., width, rank), S (..., rank) descending, Vh (..., rank, width).

    >>> A, B = torch.eye(4)[:, :2], torch.tensor([[0., 3., 0., 0.], [2., 0., 0., 0.]])
    >>> thin_svd(A, B)[1]
    tensor([3., 2.])
    """
    Qa, Ra = torch.linalg.qr(reader)
    Qb, Rb = torch.linalg.qr(writer.mT)
    Uc, S, Vch = torch.linalg.svd(Ra @ Rb.mT, full_matrices=False)
    U, Vh = Qa @ Uc, Vch @ Qb.mT
    largest = U.abs().argmax(-2, keepdim=True)
    sign = torch.where(U.gather(-2, largest) < 0, -1.0, 1.0).to(U)
    return U * sign, S, Vh * sign.mT


def svd(
    heads: Heads, *, rank: int | None = None, minus: Heads | None = None, device: str = "cpu"
) -> Spectra:
    """Decompose every head's value-output matrix into singular triplets (SITH, Sec. 3).

    Args:
        heads: from ``fold``.
        rank: singular vectors to keep a head; all when None. All singular values are kept.
        minus: another model's heads: decompose the differences A₁B₁ − A₀B₀ instead.
        device: where the linear algebra runs.

    Returns:
        Spectra with left and right (heads, rank, width), singular values (heads, head_dim).

    Raises:
        InputError: no heads, a rank out of range, or heads of two models that do not match.

    >>> from sithctl import fold
    >>> spectra = svd(fold("scenes", 5), rank=4)
    >>> spectra
    Spectra(scenes: layer 5, 8 heads of 16, 4 vectors each)
    >>> spectra.layers[5].right.shape
    (8, 4, 128)
    """
    check_taken("svd", Heads, heads)
    check_device(device, double=True)
    if minus is not None:
        check_taken("svd", Heads, minus)
        check_alike(heads, minus)
    layers: dict[int, LayerSpectra] = {}
    for layer, factors in heads.layers.items():
        A, B = _factors(factors, device)
        if minus is not None:
            A0, B0 = _factors(minus.layers[layer], device)
            A, B = torch.cat([A, A0], -1), torch.cat([B, -B0], -2)
        U, S, Vh = svd_of(A, B)
        kept = S.shape[-1] if rank is None else rank
        if not 1 <= kept <= S.shape[-1]:
            raise InputError(f"no rank {rank}", heads.model.name, f"1 to {S.shape[-1]}")
        layers[layer] = LayerSpectra(
            _float32(U[..., :kept].mT), _float32(S), _float32(Vh[..., :kept, :])
        )
        give_back()
    inputs = {"heads": heads.digest, "minus": minus.digest if minus else None}
    before = heads.history if minus is None else (*heads.history, *minus.history)
    history = (*before, entry("svd", {"rank": rank}, inputs))
    model = heads.model
    if minus is not None:  # of no one model: no layer's digest, so that no edit can be taken of it
        model = Identity(f"{heads.model.name} minus {minus.model.name}", heads.model.space)
    return Spectra(model, history, heads.architecture, layers, heads.readout, heads.plain)


def svd_of(reader: Tensor, writer: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``thin_svd`` of one layer's heads, the same whatever the number of threads."""
    with one_thread():
        return thin_svd(reader, writer)


@contextmanager
def one_thread() -> Iterator[None]:
    """Matrices this small lose more to threads than they gain: on a busy machine a thousandfold.
    And the result then does not depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _factors(factors: HeadFactors, device: str) -> tuple[Tensor, Tensor]:
    return (
        torch.from_numpy(factors.value).to(device, torch.float64),
        torch.from_numpy(factors.output).to(device, torch.float64),
    )


def check_alike(heads: Heads, other: Heads) -> None:
    """Refuse the difference of two models that do not match."""
    for name in ("layers", "heads", "width", "head_dim"):
        if heads.architecture[name] != other.architecture[name]:
            raise InputError(
                f"the models differ in {name}: {heads.architecture[name]} and "
                f"{other.architecture[name]}",
                f"{heads.model.name} minus {other.model.name}",
                "a difference needs the same architecture",
            )
    if heads.plain != other.plain:
        raise InputError("one of the two was folded with --plain", other.model.name, "fold alike")
    if missing := set(heads.layers) - set(other.layers):
        raise InputError(
            f"layers {sorted(missing)} are missing", other.model.name, "fold the same layers"
        )


def _float32(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.float().cpu().numpy())
