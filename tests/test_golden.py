"""Equal to the golden values, within the tolerances of their README."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sithctl.kinds import Codes, Spectra
from sithctl.models import load_encoder
from sithctl.models.readout import centred_features
from sithctl.stages.decompose import decompose
from sithctl.stages.fold import fold
from sithctl.stages.mean import ready_mean
from sithctl.stages.pool import ready_pool
from sithctl.stages.svd import svd

Golden = dict[str, Tensor]


@pytest.fixture(scope="module", params=["folded", "plain"])
def way(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def spectra(small_clip: Path, way: str) -> Spectra:
    return svd(fold(str(small_clip), plain=way == "plain"))


def test_value_output_matrices(small_clip: Path, golden: Golden, way: str) -> None:
    heads = fold(str(small_clip), plain=way == "plain")
    for layer, factors in heads.layers.items():
        product = torch.from_numpy(factors.value @ factors.output)
        torch.testing.assert_close(product, golden[f"layer.{layer}.vo.{way}"], atol=1e-5, rtol=0)


def test_singular_values_and_vectors(spectra: Spectra, golden: Golden, way: str) -> None:
    for layer, spectrum in spectra.layers.items():
        for ours, name in (
            (spectrum.singular_values, "singular_values"),
            (spectrum.left, "left_vectors"),
            (spectrum.right, "right_vectors"),
        ):
            expected = golden[f"layer.{layer}.{name}.{way}"]
            torch.testing.assert_close(torch.from_numpy(ours), expected, atol=1e-5, rtol=0)


def test_sign_rule(spectra: Spectra) -> None:
    for spectrum in spectra.layers.values():
        largest = np.abs(spectrum.left).argmax(-1)
        assert (np.take_along_axis(spectrum.left, largest[..., None], -1) > 0).all()


def test_read_outs(spectra: Spectra, golden: Golden, way: str) -> None:
    mean = golden["model.image_mean"]
    for layer, spectrum in spectra.layers.items():
        right, left = (torch.from_numpy(v).double() for v in (spectrum.right, spectrum.left))
        read = {f"readout.{way}": right}
        if way == "folded":
            read |= {"readout_minus.folded": -right, "readout_left.folded": left}
        for name, vectors in read.items():
            ours = centred_features(vectors, spectra.readout, mean).float()
            torch.testing.assert_close(ours, golden[f"layer.{layer}.{name}"], atol=1e-5, rtol=0)


def test_left_vectors_through_decompose(small_clip: Path, golden: Golden) -> None:
    """``--side left``: the codes of the golden left read-outs."""
    from sithctl.pursuit import sparse_code
    from sithctl.stages.centring import centre_pool
    from sithctl.stages.options import Options

    name = str(small_clip)
    raw = golden["fidelity.pool_embeddings"].numpy()
    pool = ready_pool(raw, [f"c{i}" for i in range(800)], model=name)
    mean = ready_mean(golden["model.image_mean"].numpy(), model=name)
    options = Options(side="left", pole="+")
    codes = decompose(svd(fold(name)), pool, mean, layers=[2], options=options)
    targets = golden["layer.2.readout_left.folded"].reshape(64, 32)
    expected = sparse_code(targets, centre_pool(raw)[0])
    ours = codes.layers[2].indices.reshape(64, 5)
    assert (torch.from_numpy(ours) == expected.indices).float().mean() > 0.99


def test_minus_pole_is_not_the_negative(spectra: Spectra, golden: Golden) -> None:
    vectors = torch.from_numpy(spectra.layers[2].right).double()
    mean = golden["model.image_mean"]
    plus = centred_features(vectors, spectra.readout, mean)
    minus = centred_features(-vectors, spectra.readout, mean)
    assert (plus * minus).sum(-1).mean() > -0.5


@pytest.fixture(scope="module")
def codes(small_clip: Path, golden: Golden) -> Codes:
    name = str(small_clip)
    pool = ready_pool(
        golden["fidelity.pool_embeddings"].numpy(), [f"c{i}" for i in range(800)], model=name
    )
    mean = ready_mean(golden["model.image_mean"].numpy(), model=name)
    return decompose(svd(fold(name)), pool, mean, layers="2")


@pytest.mark.parametrize(("pole", "key"), [(0, "codes"), (1, "codes_minus")])
def test_codes_of_both_poles(codes: Codes, golden: Golden, pole: int, key: str) -> None:
    layer = codes.layers[2]
    indices = torch.from_numpy(layer.indices[:, :, pole].reshape(64, 5))
    coefficients = torch.from_numpy(layer.coefficients[:, :, pole].reshape(64, 5))
    dense = torch.zeros(64, 801).scatter_(1, torch.where(indices < 0, 800, indices), coefficients)
    expected = golden[f"fidelity.{key}"]
    assert torch.equal(dense[:, :800] > 0, expected > 0)
    torch.testing.assert_close(dense[:, :800], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("figure", "key"), [(0, "feature_cosine"), (1, "residual_cosine"), (2, "residual_perfect")]
)
def test_both_fidelities_and_the_ceiling(
    codes: Codes, golden: Golden, figure: int, key: str
) -> None:
    ours = torch.from_numpy(codes.layers[2].fidelity[:, :, 0, figure].reshape(64).copy())
    torch.testing.assert_close(ours, golden[f"fidelity.{key}"], atol=1e-5, rtol=0)


def test_codes_carry_what_explains_them(codes: Codes) -> None:
    used = set(codes.layers[2].indices.ravel().tolist()) - {-1}
    assert codes.concepts.indices.tolist() == sorted(used)
    assert codes.concepts.labels == [f"c{i}" for i in sorted(used)]
    np.testing.assert_allclose(np.linalg.norm(codes.concepts.vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(codes.layers[2].energy.sum(1), 1, atol=1e-6)
    assert (np.diff(codes.layers[2].coefficients, axis=-1) <= 0).all()


def test_encoder_gives_the_models_own_features(small_clip: Path, golden: Golden) -> None:
    features = load_encoder(str(small_clip)).encode_pixels(golden["model.images"])
    torch.testing.assert_close(features, golden["model.image_features"], atol=1e-5, rtol=0)


def test_dinov2_with_layer_scale(small_dinov2: Path, golden_dinov2: Golden) -> None:
    heads = fold(str(small_dinov2))
    spectra = svd(heads)
    for layer, factors in heads.layers.items():
        product = torch.from_numpy(factors.value @ factors.output)
        expected = golden_dinov2[f"layer.{layer}.vo.folded"]
        torch.testing.assert_close(product, expected, atol=1e-5, rtol=0)
        values = torch.from_numpy(spectra.layers[layer].singular_values)
        expected = golden_dinov2[f"layer.{layer}.singular_values.folded"]
        torch.testing.assert_close(values, expected, atol=1e-5, rtol=0)
    features = load_encoder(str(small_dinov2)).encode_pixels(golden_dinov2["model.images"])
    torch.testing.assert_close(features, golden_dinov2["model.features"], atol=1e-4, rtol=0)
