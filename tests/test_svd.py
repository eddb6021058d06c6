"""The thin decomposition against the dense one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sithctl.errors import InputError
from sithctl.stages.fold import fold
from sithctl.stages.svd import svd, thin_svd


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    heads=st.integers(1, 3),
    width=st.integers(2, 20),
    rank=st.integers(1, 8),
)
def test_equals_the_dense_svd(seed: int, heads: int, width: int, rank: int) -> None:
    rank = min(rank, width)
    generator = torch.Generator().manual_seed(seed)
    A = torch.randn(heads, width, rank, generator=generator, dtype=torch.float64)
    B = torch.randn(heads, rank, width, generator=generator, dtype=torch.float64)
    U, S, Vh = thin_svd(A, B)
    torch.testing.assert_close(U * S.unsqueeze(-2) @ Vh, A @ B)
    torch.testing.assert_close(S, torch.linalg.svdvals(A @ B)[..., :rank])
    eye = torch.eye(rank, dtype=torch.float64).expand(heads, rank, rank)
    torch.testing.assert_close(U.mT @ U, eye)
    torch.testing.assert_close(Vh @ Vh.mT, eye)
    largest = U.abs().argmax(-2, keepdim=True)
    assert bool((U.gather(-2, largest) > 0).all())


def test_rank_keeps_all_singular_values(tiny_clip: Path) -> None:
    heads = fold(str(tiny_clip), "1")
    whole, cut = svd(heads), svd(heads, rank=3)
    assert cut.layers[1].right.shape == (3, 3, 48)
    np.testing.assert_array_equal(cut.layers[1].right, whole.layers[1].right[:, :3])
    np.testing.assert_array_equal(cut.layers[1].singular_values, whole.layers[1].singular_values)
    with pytest.raises(InputError, match="1 to 16"):
        svd(heads, rank=17)


def test_difference_of_two_models(small_clip: Path) -> None:
    heads = fold(str(small_clip), "0", dtype="float64")
    other = fold(str(small_clip), "0", dtype="float64")
    other.layers[0].output[:] *= 0.5
    difference = svd(heads, minus=other).layers[0]
    expected = heads.layers[0].value @ heads.layers[0].output * 0.5
    rebuilt = np.einsum(
        "hkw,hk,hkv->hwv", difference.left, difference.singular_values, difference.right
    )
    np.testing.assert_allclose(rebuilt, expected, atol=1e-5)


def test_vectors_are_centred(tiny_clip: Path) -> None:
    """What LayerNorm cannot see is in no vector."""
    for spectrum in svd(fold(str(tiny_clip))).layers.values():
        np.testing.assert_allclose(spectrum.left.sum(-1), 0, atol=1e-4)
        np.testing.assert_allclose(spectrum.right.sum(-1), 0, atol=1e-4)
