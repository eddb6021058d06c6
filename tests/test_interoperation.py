"""The reference project's own files: dictionaries, means and decompositions, in and out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run
from hypothesis import given
from hypothesis import strategies as st

from sithctl.artifacts import load, save
from sithctl.artifacts.decompositions import (
    _free,
    file_name,
    read_decomposition,
    write_decompositions,
)
from sithctl.errors import InputError
from sithctl.kinds import Codes, Pool, Spectra
from sithctl.stages.decompose import decompose
from sithctl.stages.fold import fold
from sithctl.stages.imported import import_codes
from sithctl.stages.options import Options
from sithctl.stages.pool import encode_pool
from sithctl.stages.svd import svd

WORDS = ["red", "ring", "ocean", "box", "striped", "snow", "crimson", "forest"]


@pytest.fixture(scope="module")
def spectra() -> Spectra:
    return svd(fold("scenes", "4-5"), rank=6)


@pytest.fixture(scope="module")
def pool() -> Pool:
    return encode_pool(WORDS, "scenes")


@pytest.fixture(scope="module")
def codes(spectra: Spectra, pool: Pool) -> Codes:
    return decompose(spectra, pool, options=Options(sparsity=5))


@pytest.fixture(scope="module")
def files(spectra: Spectra, pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    save(spectra, folder / "spectra")
    save(pool, folder / "word_list.h5")
    return folder


def test_names_are_the_references(codes: Codes) -> None:
    assert file_name(codes, 5, "conceptnet") == (
        "layer-05_right_foldln_conceptnet_comp-0.3_sparsity-5.pt"
    )
    parameters = codes.parameters | {"method": "nnomp", "plain": True, "side": "left"}
    other = replace(codes, parameters=parameters)
    assert file_name(other, 5, "my_words") == ("layer-05_left_nofoldln_my-words_omp_sparsity-5.pt")


@pytest.mark.parametrize("pole", ["+", "-"])
def test_there_and_back(
    pole: str, codes: Codes, spectra: Spectra, pool: Pool, tmp_path: Path
) -> None:
    written = write_decompositions(codes, tmp_path / "out", "words", force=False)
    mine = [p for p in written if (p.parent.name == "minus") == (pole == "-")]
    assert len(written) == 4
    found = {one.layer: (one.scores, one.indices) for one in map(read_decomposition, mine)}
    back = import_codes(spectra, pool, found, pole=pole)
    place = codes.poles.index(pole)
    assert back.poles == [pole]
    assert back.parameters["method"] == "imported"
    assert "imported" in back.history[-1]["inputs"]
    for layer, expected in codes.layers.items():
        got = back.layers[layer]
        np.testing.assert_array_equal(got.indices[:, :, 0], expected.indices[:, :, place])
        np.testing.assert_array_equal(got.coefficients[:, :, 0], expected.coefficients[:, :, place])
        np.testing.assert_array_equal(got.fidelity[:, :, 0], expected.fidelity[:, :, place])
        np.testing.assert_array_equal(got.energy, expected.energy)
        np.testing.assert_array_equal(got.degenerate, expected.degenerate)
    # Some explanation has unused places, or this proves less than it says.
    assert any((layer.indices < 0).any() for layer in codes.layers.values())


def test_export_leaves_the_codes_alone_and_scatters(codes: Codes, tmp_path: Path) -> None:
    """The reference's scripts scatter scores by index: no score may be wiped out by an unused
    place."""
    before = codes.digest
    for path in write_decompositions(codes, tmp_path, "words", force=False):
        content = torch.load(path, weights_only=True)
        scores, indices = content["scores"], content["indices"]
        assert scores.dtype == torch.float32
        assert indices.dtype == torch.int64
        dense = torch.zeros(*scores.shape[:2], len(WORDS)).scatter_(-1, indices, scores)
        torch.testing.assert_close(dense.sum(-1), scores.sum(-1))
        assert indices.sort(-1).values.diff(dim=-1).all()  # none twice
    assert replace(codes).digest == before


@given(st.lists(st.integers(0, 9), unique=True, max_size=6), st.integers(0, 6))
def test_unused_places_take_concepts_that_are_not_used(used: list[int], unused: int) -> None:
    row = np.array([*used, *[-1] * unused])
    free = _free(row, unused)
    assert len(set(free)) == len(free) == unused
    assert not set(free) & set(used)


def test_the_same_work_gives_the_same_bytes(codes: Codes, tmp_path: Path) -> None:
    one = write_decompositions(codes, tmp_path / "one", "words", force=False)
    two = write_decompositions(codes, tmp_path / "two", "words", force=False)
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


def test_export_does_not_overwrite(codes: Codes, tmp_path: Path) -> None:
    write_decompositions(codes, tmp_path, "words", force=False)
    with pytest.raises(InputError, match="--force"):
        write_decompositions(codes, tmp_path, "words", force=False)
    write_decompositions(codes, tmp_path, "words", force=True)


def test_nearest_has_similarities_below_zero(spectra: Spectra, pool: Pool, tmp_path: Path) -> None:
    near = decompose(spectra, pool, options=Options(method="nearest", sparsity=8))
    with pytest.raises(InputError, match="negative similarities"):
        write_decompositions(near, tmp_path, "words", force=False)
    assert list(tmp_path.iterdir()) == []


def test_the_references_shapes(spectra: Spectra, pool: Pool) -> None:
    """Its writer flattens heads and ranks, its readers do not; unsorted scores, zeros unused."""
    heads = spectra.layers[5].right.shape[0]
    scores, indices = np.zeros((heads, 2, 3), np.float32), np.zeros((heads, 2, 3), np.int64)
    scores[1, 1], indices[1, 1] = [0.2, 0.0, 0.7], [4, 1, 2]
    cubic = import_codes(spectra, pool, {5: (scores, indices)})
    flat = import_codes(spectra, pool, {5: (scores.reshape(-1, 3), indices.reshape(-1, 3))})
    assert cubic.digest == flat.digest
    layer = cubic.layers[5]
    assert layer.indices[1, 1, 0].tolist() == [2, 4, -1]
    np.testing.assert_allclose(layer.coefficients[1, 1, 0], [0.7, 0.2, 0.0])
    assert (layer.indices[0] == -1).all()
    assert cubic.concepts.labels == ["ocean", "striped"]
    assert layer.singular_values.shape == (heads, 2)


def test_wrong_sizes(spectra: Spectra, pool: Pool) -> None:
    heads = spectra.layers[5].right.shape[0]

    def numbers(*shape: int, index: int = 0) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(shape, np.float32), np.full(shape, index, np.int64)

    for found, words in (
        ({5: numbers(heads, 2, 3, index=8)}, "index 8 in a pool of 8 concepts"),
        ({5: numbers(heads, 2, 3, index=-1)}, "index -1 in a pool"),
        ({5: numbers(heads + 1, 2, 3)}, f"spectra have {heads} heads of rank 6"),
        ({5: numbers(heads, 7, 3)}, "rank 6"),
        ({5: numbers(heads * 2 + 1, 3)}, f"shape \\({heads * 2 + 1}, 3\\)"),
        ({3: numbers(heads, 2, 3)}, "lack layer 3"),
        ({4: numbers(heads, 2, 3), 5: numbers(heads, 1, 3)}, "rank 1, K 3 and rank 2, K 3"),
        ({5: numbers(heads, 0, 3)}, "scores"),
        ({}, "nothing to import"),
    ):
        with pytest.raises(InputError, match=words):
            import_codes(spectra, pool, found)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "no scores and indices"),
        ({"scores": torch.ones(2, 3)}, "no scores and indices"),
        ({"scores": [1.0], "indices": [1]}, "are no tensors"),
        ({"scores": torch.ones(2, 3), "indices": torch.ones(2, 3)}, "indices are torch.float32"),
        ({"scores": torch.ones(2, 3), "indices": torch.ones(2, 2).long()}, "twice"),
        ({"scores": torch.ones(2), "indices": torch.ones(2).long()}, "twice"),
        ({"scores": -torch.ones(2, 3), "indices": torch.ones(2, 3).long()}, "negative or NaN"),
        ({"scores": torch.ones(2, 3) / 0, "indices": torch.ones(2, 3).long()}, "negative or NaN"),
        ({"scores": Path("x"), "indices": 1}, "not a whole .pt file"),
    ],
)
def test_files_that_are_no_decompositions(content: object, words: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "layer-05.pt")
    with pytest.raises(InputError, match=words):
        read_decomposition(tmp_path / "layer-05.pt")


def test_commands(run: Run, files: Path, tmp_path: Path) -> None:
    common = ("decompose", files / "spectra", "--pool", files / "word_list.h5")
    made = run(*common, "--export", tmp_path / "out", "-k", 3, "-o", tmp_path / "codes.h5")
    assert made.exit_code == 0, made.output
    names = [f"layer-{n}_right_foldln_word-list_comp-0.3_sparsity-3.pt" for n in ("04", "05")]
    assert sorted(p.name for p in (tmp_path / "out").glob("*.pt")) == names
    assert sorted(p.name for p in (tmp_path / "out" / "minus").iterdir()) == names
    alone = run(*common, "--export", tmp_path / "alone", "-k", 3)
    assert alone.exit_code == 0
    assert alone.stdout_bytes == b""
    paths = [word for name in names for word in ("--import", tmp_path / "out" / name)]
    back = run(*common, *paths, "-o", tmp_path / "back.h5")
    assert back.exit_code == 0, back.output
    first, second = load(tmp_path / "codes.h5", Codes), load(tmp_path / "back.h5", Codes)
    np.testing.assert_array_equal(first.layers[5].indices[:, :, :1], second.layers[5].indices)
    shown = run("explain", tmp_path / "back.h5", "--layer", 5, "--head", 0, "--format", "json")
    document = json.loads(shown.stdout)
    assert document["parameters"]["method"] == "imported"
    assert {e["pole"] for e in document["explanations"]} == {"+"}
    minus = ("--import", tmp_path / "out" / "minus" / names[1], "--pole", "-")
    assert run(*common, *minus, "-o", tmp_path / "minus.h5").exit_code == 0
    assert load(tmp_path / "minus.h5", Codes).poles == ["-"]
    assert run(*common, *minus, "--sparsity", 3, "-o", tmp_path / "x.h5").exit_code == 2


def test_what_names_and_options_say(run: Run, files: Path, tmp_path: Path) -> None:
    spectra: Spectra = load(files / "spectra", Spectra)
    shape = (*spectra.layers[5].right.shape[:2], 2)
    content = {"scores": torch.ones(shape), "indices": torch.zeros(shape).long()}
    content["indices"][..., 1] = 1
    plain = "layer-05_right_nofoldln_words_omp_sparsity-2.pt"
    left = "layer-05_left-foldln_words_omp_sparsity-2.pt"  # as its script writes it
    for name in (plain, left, "mine.pt", "other.pt", "layer_5.pt"):
        torch.save(content, tmp_path / name)

    def tried(*names: str, more: tuple = ()) -> tuple[int, str]:
        paths = [word for name in names for word in ("--import", tmp_path / name)]
        common = ("decompose", files / "spectra", "--pool", files / "word_list.h5")
        result = run(*common, *paths, *more, "-o", tmp_path / "codes.h5", "--force")
        assert len(result.stderr.splitlines()) <= 1
        return result.exit_code, result.stderr

    for names, more, words in (
        ((plain,), (), "without LayerNorm folded in"),
        ((left,), (), "give --side left"),
        (("mine.pt",), (), "tells no layer"),
        (("mine.pt", "other.pt"), ("--layers", "5"), "2 files for 1 layers"),
        (("layer_5.pt",), ("--layers", "4"), "says layer 5, --layers says 4"),
        (("layer_5.pt", "layer_5.pt"), (), "a second file of layer 5"),
        (("none.pt",), (), "no such file"),
    ):
        code, told = tried(*names, more=more)
        assert code == 3
        assert words in told
    assert tried(left, more=("--side", "left")) == (0, "")
    assert tried("mine.pt", "other.pt", more=("--layers", "4-5")) == (0, "")
    assert tried("layer_5.pt", more=("--pole", "both")) == (0, "")


def test_the_references_dictionaries_and_mean(run: Run, tmp_path: Path) -> None:
    """Saved in half precision, in a dict, with gradients: rows and labels as they stand."""
    rows = torch.randn(3, 48, generator=torch.Generator().manual_seed(0))
    (tmp_path / "labels.txt").write_text("a dog\na cat\na dog\n")
    (tmp_path / "labels.json").write_text('["a dog", "a cat", "a dog"]')
    labels = ("--concepts", tmp_path / "labels.txt")
    torch.save(rows.half(), tmp_path / "half.pt")
    torch.save({"embeddings": rows.requires_grad_(), "note": "x"}, tmp_path / "dict.pt")
    for name in ("half.pt", "dict.pt"):
        words = ("--embeddings", tmp_path / name, *labels, "-o", tmp_path / "pool.h5", "--force")
        made = run("encode-pool", *words)
        assert made.exit_code == 0, made.output
        pool = load(tmp_path / "pool.h5", Pool)
        np.testing.assert_allclose(pool.embeddings, rows.detach(), atol=2e-3)
        assert pool.concepts == ["a dog", "a cat", "a dog"]
    again = ("--embeddings", tmp_path / "dict.pt", "--concepts", tmp_path / "labels.json")
    assert run("encode-pool", *again, "-o", tmp_path / "again.h5").exit_code == 0
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "pool.h5").read_bytes()
    torch.save(torch.full((1, 48), 0.1).half(), tmp_path / "image_mean.pt")
    mean = ("--embedding", tmp_path / "image_mean.pt", "-o", tmp_path / "mean.h5")
    assert run("mean", *mean).exit_code == 0
    torch.save({"embeddings": Path("no tensor")}, tmp_path / "pickle.pt")
    bad = run("encode-pool", "--embeddings", tmp_path / "pickle.pt", *labels, "-o", tmp_path / "p")
    assert bad.exit_code == 3
    assert len(bad.stderr.splitlines()) == 1
    assert "not a whole array file" in bad.stderr
