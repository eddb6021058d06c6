"""Drift between models: constructed changes, and the dense matrices as an independent judge."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

import sithctl
from sithctl.evaluation.drift import chance
from sithctl.evaluation.head_drift import (
    PARTS,
    SHARES,
    Side,
    decompose,
    head_drift,
    leading,
    matched,
    product_square,
)
from sithctl.stages.fold import fold
from sithctl.stages.svd import one_thread, svd_of

WIDTH, KEPT = 20, 6


def side(reader: Tensor, writer: Tensor) -> Side:
    return Side(reader, writer, *svd_of(reader, writer))


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def head(seed: int = 0) -> Side:
    return side(drawn(seed, WIDTH, KEPT), drawn(seed + 1, KEPT, WIDTH))


def made(left: Tensor, sigma: Tensor, right: Tensor) -> Side:
    return side(left * sigma, right)


def test_scaled_singular_values_are_reweighting() -> None:
    base = head()
    for factors in (drawn(3, KEPT), torch.linspace(0, 2, KEPT).double()):
        found = head_drift(base, made(base.left, base.sigma * factors, base.right), None)
        assert found["reweighting"] == pytest.approx(1)
        assert found["rotation"] == pytest.approx(0, abs=1e-12)
        assert found["new"] == pytest.approx(0, abs=1e-12)
        moved = (base.sigma * (factors - 1)).norm() / base.sigma.norm()
        assert found["change"] == pytest.approx(float(moved))


@pytest.mark.parametrize("angle", [1e-6, 0.3, 1.2])
def test_turned_vectors(angle: float) -> None:
    """Both vectors of a pair turned by the same angle in their plane: as the module says."""
    base = made(*(t for t in torch.linalg.svd(drawn(5, WIDTH, WIDTH), full_matrices=False)))
    base = made(base.left[:, :2], torch.tensor([3.0, 1.0]).double(), base.right[:2])
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = head_drift(base, made(base.left @ turn, base.sigma, base.right), 2)
    cosine, sine = np.cos(angle) - 1, np.sin(angle)
    assert found["rotation"] == pytest.approx(sine**2 / (sine**2 + cosine**2))
    assert found["new"] == pytest.approx(0, abs=1e-9)
    assert max(found["angles"]["left"]) < 1e-6  # within the same plane
    one = head_drift(base, made(base.left @ turn, base.sigma, base.right), 1)
    assert one["angles"]["left"] == pytest.approx([np.degrees(angle)])
    assert one["angles"]["right"] == pytest.approx([0], abs=1e-6)


def test_new_directions() -> None:
    base = head()
    whole = torch.linalg.qr(torch.cat([base.left, drawn(7, WIDTH, WIDTH)], 1))[0]
    beside = whole[:, KEPT : KEPT + 1]
    back = torch.linalg.qr(torch.cat([base.right.T, drawn(8, WIDTH, WIDTH)], 1))[0]
    across = back[:, KEPT : KEPT + 1].T
    for left, right, part in (
        (beside, base.right[:1], "new_reading"),
        (base.left[:, :1], across, "new_writing"),
        (beside, across, "new_both"),
    ):
        tuned = side(torch.cat([base.reader, left], 1), torch.cat([base.writer, right]))
        padded = Side(
            torch.cat([base.reader, 0 * left], 1),
            torch.cat([base.writer, 0 * right]),
            base.left,
            base.sigma,
            base.right,
        )
        found = decompose(padded, tuned)
        assert found[part] == pytest.approx(1)
        assert found["new"] == pytest.approx(1)
        assert found["norm"] == pytest.approx(1)


@given(st.integers(0, 10**6), st.floats(-6, 1), st.integers(1, 24), st.integers(1, 8))
@settings(max_examples=60)
def test_the_dense_matrices_agree(seed: int, power: float, width: int, kept: int) -> None:
    kept = min(width, kept)
    A, B = drawn(seed, width, kept), drawn(seed + 1, kept, width)
    dA, dB = (10**power * drawn(seed + i, *t.shape) for i, t in ((2, A), (3, B)))
    base, tuned = side(A, B), side(A + dA, B + dB)
    found = decompose(base, tuned)
    change = (A + dA) @ (B + dB) - A @ B
    C = base.left.T @ change @ base.right.T
    square = float(change.square().sum())
    diagonal = float(C.diagonal().square().sum())
    inside = float(C.square().sum())
    rounding = {"rel": 1e-6, "abs": 1e-9 / min(1.0, 10 ** (2 * power)) * 1e-6 + 1e-9}
    assert found["norm"] ** 2 == pytest.approx(square, rel=1e-6)
    assert found["reweighting"] == pytest.approx(diagonal / square, **rounding)
    assert found["rotation"] == pytest.approx((inside - diagonal) / square, **rounding)
    assert found["new"] == pytest.approx(1 - inside / square, **rounding)
    assert sum(found[name] for name in PARTS) == pytest.approx(1)
    assert sum(found[name] for name in SHARES) == pytest.approx(1)


@given(st.integers(0, 10**6), st.integers(1, KEPT))
@settings(max_examples=30)
def test_principal_angles_and_matches_by_brute_force(seed: int, rank: int) -> None:
    from itertools import permutations

    base, tuned = head(seed), head(seed + 10)
    found = head_drift(base, tuned, rank)
    for name, one, other in (
        ("left", base.left[:, :rank], tuned.left[:, :rank]),
        ("right", base.right[:rank].T, tuned.right[:rank].T),
    ):
        cosines = torch.linalg.svdvals(one.T @ other).clamp(max=1)
        expected = np.degrees(np.arccos(cosines.numpy()))
        np.testing.assert_allclose(found["angles"][name], expected, atol=1e-5)
    left, right = base.left.T @ tuned.left, base.right @ tuned.right.T
    quality = (left * right).abs().numpy()
    best = max(sum(quality[i, j] for i, j in enumerate(p)) for p in permutations(range(KEPT)))
    matches = matched(base, tuned, KEPT)
    assert sum(abs(m["left"] * m["right"]) for m in matches) == pytest.approx(best)
    assert sorted(m["match"] for m in matches) == list(range(KEPT))
    for m in matches:
        i, j = m["sv"], m["match"]
        assert m["left"] * m["right"] == pytest.approx(float(left[i, j] * right[i, j]))
        assert m["left"] >= 0
        assert m["sigma_ratio"] == pytest.approx(float(tuned.sigma[j] / base.sigma[i]))


def test_a_vector_turned_round_is_seen() -> None:
    base = head()
    factors = torch.ones(KEPT).double()
    factors[1], factors[0] = -1, 0.1
    tuned = made(base.left, base.sigma * factors, base.right)
    by_sv = {m["sv"]: m for m in head_drift(base, tuned, KEPT)["matches"]}
    assert by_sv[1]["right"] == pytest.approx(-1)
    assert by_sv[0]["right"] == pytest.approx(1)
    assert by_sv[0]["match"] != 0
    assert by_sv[0]["sigma_ratio"] == pytest.approx(0.1)


def test_leading_vectors() -> None:
    for sigma, count in (([3, 0, 0], 1), ([3, 1, 0], 1), ([2, 1, 1], 3), ([0, 0], 1), ([1], 1)):
        assert leading(torch.tensor(sigma).double()) == count


def test_products_of_thin_factors() -> None:
    for rows, inner, columns in ((9, 3, 8), (3, 9, 8), (8, 9, 3), (2, 2, 2)):
        left, right = drawn(1, rows, inner), drawn(2, inner, columns)
        torch.testing.assert_close(product_square(left, right), (left @ right).square().sum())


def test_chance_is_what_random_changes_give() -> None:
    """Of the bundled model, with noise of any share in A and B."""
    heads = fold("scenes", "3", dtype="float64")
    expected, found = chance(heads), {name: [] for name in SHARES}
    factors = heads.layers[3]
    for i in range(40):
        A, B = (torch.from_numpy(t[i % 8]) for t in (factors.value, factors.output))
        noise = [1e-4 * drawn(100 + i, *A.shape), 1e-3 * (i % 3) * drawn(200 + i, *B.shape)]
        noise = [noise[0] - noise[0].mean(0), noise[1] - noise[1].mean(1, keepdim=True)]
        with one_thread():
            part = decompose(side(A, B), side(A + noise[0], B + noise[1]))
        for name in SHARES:
            found[name].append(part[name])
    for name in SHARES:
        assert np.mean(found[name]) == pytest.approx(expected[name], rel=0.12)


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    """The golden CLIP with its last value projection changed a little."""
    source, folder = Path(__file__).parent / "golden" / "small-clip", tmp_path / "tuned"
    shutil.copytree(source, folder)
    path = folder / "open_clip_model.safetensors"
    weights = load_file(path)
    name = max(n for n in weights if n.startswith("visual.") and n.endswith("in_proj_weight"))
    weights[name][2 * len(weights[name]) // 3 :] *= 1.5
    save_file(weights, path, metadata={"format": "pt"})
    return folder


def test_the_command(run: Run, tuned: Path, small_clip: Path, tmp_path: Path) -> None:
    common = ("eval", "drift", small_clip, tuned)
    found = json.loads(run(*common, "--format", "json").stdout)
    assert found["overall"]["reweighting"] == pytest.approx(1)
    assert found["overall"]["changed_heads"] == len([r for r in found["heads"] if r["change"]])
    last = found["heads"][-1]
    assert last["change"] == pytest.approx(0.5)
    assert found["heads"][0]["change"] == 0
    assert found["heads"][0]["reweighting"] is None
    assert all(m["sigma_ratio"] == pytest.approx(1.5) for m in last["matches"])
    again = run(*common, "--format", "json", "-o", tmp_path / "drift.json")
    assert again.exit_code == 0
    assert (tmp_path / "drift.json").read_text() == run(*common, "--format", "json").stdout
    layer = max(r["layer"] for r in found["heads"])
    some = json.loads(run(*common, "--layers", layer, "--rank", 2, "--format", "json").stdout)
    assert {r["layer"] for r in some["heads"]} == {layer}
    assert all(len(r["angles"]["left"]) == len(r["matches"]) == 2 for r in some["heads"])
    table = run(*common).stdout
    for word in ("reweighting", "by chance", "small-clip → tuned"):
        assert word in table
    python = sithctl.evaluate("drift", fold(str(small_clip)), fold(str(tuned)))
    assert python.header["overall"]["change"] == pytest.approx(found["overall"]["change"], rel=1e-5)


def test_files_pipes_and_models(run: Run, tuned: Path, small_clip: Path, tmp_path: Path) -> None:
    base, other = tmp_path / "base.safetensors", tmp_path / "other.safetensors"
    for model, path in ((small_clip, base), (tuned, other)):
        assert run("fold", model, "-o", path).exit_code == 0
    for one in (base, small_clip):
        same = json.loads(run("eval", "drift", one, base, "--format", "json").stdout)
        assert same["overall"]["change"] == 0
        assert same["overall"]["matched"] == pytest.approx(1)
        assert same["overall"]["rotation"] is None
    by_files = json.loads(run("eval", "drift", base, other, "--format", "json").stdout)
    piped = run("eval", "drift", base, "-", "--format", "json", stdin=other.read_bytes())
    assert json.loads(piped.stdout) == by_files


def test_bad_input(run: Run, small_clip: Path, tmp_path: Path) -> None:
    run("fold", small_clip, "--layers", "0", "-o", tmp_path / "h.safetensors")
    run("fold", small_clip, "--plain", "-o", tmp_path / "plain.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"no")
    for arguments, message in (
        ((small_clip, "scenes"), "the models differ in"),
        ((small_clip, small_clip, "--rank", "999"), "no rank 999"),
        ((small_clip, tmp_path / "plain.safetensors"), "--plain"),
        ((tmp_path / "h.safetensors", small_clip, "--layers", "1"), "layer 1 is missing"),
        ((small_clip, tmp_path / "damaged.safetensors"), "not a whole safetensors file"),
        ((small_clip, tmp_path / "nowhere"), "no such model"),
    ):
        result = run("eval", "drift", *arguments)
        assert result.exit_code == 3, arguments
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
