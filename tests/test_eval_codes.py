"""How good explanations are: fidelity, coherence and agreement, each beside chance."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import h5py
import made
import numpy as np
import pytest
import torch
from conftest import Run
from hypothesis import given, settings
from hypothesis import strategies as st

from sithctl import evaluate
from sithctl.artifacts import load, save
from sithctl.errors import InputError
from sithctl.evaluation.agreement import agreement, alike
from sithctl.evaluation.chance import Chance, percentiles, shuffled_coordinates
from sithctl.evaluation.coherence import coherence
from sithctl.evaluation.explained import Explained
from sithctl.evaluation.factors import dominant_share, factor_names
from sithctl.evaluation.fidelity import fidelity
from sithctl.evaluation.likeness import pair_means
from sithctl.evaluation.matching import options_of, vectors_explained
from sithctl.evaluation.trust import trust
from sithctl.kinds import Codes, Identity, Pool, Readout, Step
from sithctl.kinds.scores import Score
from sithctl.pursuit import sparse_code
from sithctl.stages.centring import centre_pool
from sithctl.stages.decompose import decompose
from sithctl.stages.imported import import_codes
from sithctl.stages.options import Options
from sithctl.views.evaluation import as_json


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.saved(tmp_path_factory.mktemp("made"))


def overall(evaluation, figure: str, of: str = "codes") -> dict:
    records = evaluation.table("overall").records
    return next(r for r in records if r["figure"] == figure and r.get("of", of) == of)


# --- fidelity ---


def test_fidelity_is_that_of_the_codes() -> None:
    codes = made.few()
    found = fidelity(codes, made.little_pool(), samples=10)
    every = np.concatenate([c.fidelity.reshape(-1, 3) for c in codes.layers.values()])
    for i, figure in enumerate(("feature", "residual", "residual_ceiling")):
        record = overall(found, figure)
        assert record["mean"] == pytest.approx(every[:, i].mean(), abs=1e-6)
        assert record["sd"] == pytest.approx(every[:, i].std(), abs=1e-6)
        assert record["q25"] == pytest.approx(np.quantile(every[:, i], 0.25), abs=1e-6)
    head = next(r for r in found.table("heads").records if (r["layer"], r["head"]) == (4, 3))
    assert head["feature"]["mean"] == pytest.approx(codes.layers[4].fidelity[3, ..., 0].mean())
    assert len(found.table("heads").records) == 2 * 8


def test_chance_of_random_directions_by_hand() -> None:
    """Drawn, read out and coded without any of the code that does it here."""
    codes, pool = made.few(), made.little_pool()
    found = overall(fidelity(codes, pool, samples=40, seed=3), "feature", "random")
    drawn = np.random.default_rng(3).standard_normal((40, 128))
    drawn -= drawn.mean(1, keepdims=True)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    both = np.concatenate([drawn, -drawn])
    norm, linear = codes.readout.steps
    variance = both.var(1, keepdims=True) + norm.epsilon
    out = both / np.sqrt(variance) * norm.tensors["weight"] + norm.tensors["bias"]
    out = out @ linear.tensors["weight"].astype(float)
    out = out / np.linalg.norm(out, axis=1, keepdims=True) - codes.mean
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    dictionary, _ = centre_pool(pool.embeddings)
    coded = sparse_code(torch.from_numpy(out).float(), dictionary)
    rows = dictionary.double().numpy()[coded.indices.clamp_min(0)]
    said = (coded.coefficients.double().numpy()[..., None] * rows).sum(1)
    cosines = (said * out).sum(1) / np.linalg.norm(said, axis=1)
    assert found["mean"] == pytest.approx(cosines.mean(), abs=1e-5)
    assert found["sd"] == pytest.approx(cosines.std(), abs=1e-5)


@pytest.mark.parametrize("plain", [False, True])
def test_random_directions_are_drawn_as_vectors_are(plain: bool) -> None:
    codes = made.few()
    codes = replace(codes, parameters=codes.parameters | {"plain": plain})
    drawn = Chance(codes, Options(), torch.zeros(48)).random_vectors(50, 0)
    assert drawn.shape == (100, 128)
    assert torch.allclose(drawn.norm(dim=1), torch.ones(100, dtype=torch.float64))
    assert torch.equal(drawn[::2], -drawn[1::2])
    assert bool(drawn.mean(1).abs().max() < 1e-9) is not plain


def test_explanations_of_random_directions_are_at_chance() -> None:
    """What is explained of vectors that mean nothing lies at half of chance, not above."""
    spectra = made.spectra()
    rng = np.random.default_rng(8)
    random = rng.standard_normal(spectra.layers[5].right.shape)
    random -= random.mean(-1, keepdims=True)
    random /= np.linalg.norm(random, axis=-1, keepdims=True)
    layer = replace(spectra.layers[5], right=random.astype(np.float32))
    nothing = replace(spectra, layers={5: layer})
    codes = decompose(nothing, made.little_pool(), options=Options(rank=8))
    found = fidelity(codes, made.little_pool(), spectra=nothing, samples=200)
    for figure in ("feature", "residual"):
        assert overall(found, figure)["percentile"]["random"] == pytest.approx(0.5, abs=0.06)
    real = fidelity(made.few(), made.little_pool())
    assert overall(real, "feature")["percentile"]["random"] > 0.75


def test_a_shuffled_coordinate_keeps_its_values() -> None:
    rows = made.little_pool().embeddings
    mixed = shuffled_coordinates(rows, 0)
    assert np.array_equal(np.sort(rows, axis=0), np.sort(mixed, axis=0))
    assert (rows == mixed).mean() < 0.01


def test_the_vectors_themselves_are_coded_where_they_are_at_hand() -> None:
    codes, pool = made.few(), made.little_pool()
    given_spectra = fidelity(codes, pool, spectra=made.spectra(), samples=10)
    assert given_spectra.document() == fidelity(codes, pool, samples=10).document()
    assert given_spectra.header["chance"]["shuffled_pool_codes"] == "vectors"
    other = replace(codes, model=replace(codes.model, name="somebody's"))
    far = fidelity(other, pool, samples=10)
    assert far.header["chance"]["shuffled_pool_codes"] == "random directions"
    assert any("not at hand" in note for note in far.notes)
    assert "shuffled" not in far.table("heads").records[0]["feature"]


def test_imported_codes_say_that_their_coder_stands_in() -> None:
    layer = made.few().layers[5]
    found = {5: (layer.coefficients[:, :, 0], layer.indices[:, :, 0])}
    codes = import_codes(made.spectra(), made.little_pool(), found)
    evaluation = fidelity(codes, made.little_pool(), samples=10)
    assert any("imported" in note for note in evaluation.notes)
    assert evaluation.header["chance"]["coder"] == "comp"
    assert options_of(codes) == (Options(pole="+"), False)


def test_a_read_out_that_cannot_be_undone_has_no_residual_figures() -> None:
    steps = (*made.spectra().readout.steps, Step("linear", {"weight": np.eye(48)}))
    spectra = replace(made.spectra(), readout=Readout(steps))
    pool = replace(made.little_pool(), model=Identity("far", made.spectra().model.space))
    codes = decompose(spectra, pool, layers="5", options=Options(rank=2))
    found = fidelity(codes, pool, spectra=spectra, samples=10)
    assert {r["figure"] for r in found.table("overall").records} == {"feature"}
    assert found.table("heads").records[0]["residual"] is None
    assert any("no residual fidelity" in note for note in found.notes)
    assert "NaN" not in as_json(found)
    assert trust(codes, spectra, pool, repeats=2, samples=10).table("grades").records


@settings(max_examples=50)
@given(
    st.lists(st.integers(-4, 4), min_size=1, max_size=8),
    st.lists(st.integers(-4, 4), min_size=1, max_size=8),
)
def test_percentiles_by_counting(values: list[int], chance: list[int]) -> None:
    found = percentiles(np.array(values, float), np.array(chance, float))
    for value, share in zip(values, found, strict=True):
        below = sum(c < value for c in chance) + sum(c == value for c in chance) / 2
        assert share == pytest.approx(below / len(chance))


# --- coherence ---


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_pair_means_by_hand(seed: int, used: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((1, 4, 5))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    weights = np.where(np.arange(4) < used, rng.random(4), 0.0)[None]
    plain, weighted = pair_means(vectors, np.arange(4)[None] < used, weights)
    pairs = list(combinations(range(used), 2))
    if not pairs:
        assert np.isnan(plain[0])
        assert np.isnan(weighted[0])
        return
    cosines = np.array([vectors[0, i] @ vectors[0, j] for i, j in pairs])
    products = np.array([weights[0, i] * weights[0, j] for i, j in pairs])
    assert plain[0] == pytest.approx(cosines.mean())
    assert weighted[0] == pytest.approx(np.average(cosines, weights=products))


def test_share_of_one_factor_is_at_least_that_of_one_value() -> None:
    factors = [{"colour": "red"}, {"colour": "blue", "shape": "ring"}]
    assert dominant_share([1, 1], factors) == 0.5
    assert dominant_share([1, 1], factors, factor_names) == 0.75


def test_coherence_is_above_chance_and_comp_above_nnomp() -> None:
    ours, theirs = made.codes(), made.codes(method="nnomp")
    comp, nnomp = coherence(ours, draws=4), coherence(theirs, draws=4)
    for figure in ("similarity", "weighted_similarity", "dominant_factor", "dominant_value"):
        assert overall(comp, figure)["above_chance"]["low"] > 0
        assert overall(comp, figure)["mean"]["low"] > overall(nnomp, figure)["mean"]["high"]


def test_random_concepts_are_at_chance() -> None:
    codes, rng = made.codes(), np.random.default_rng(0)
    known = codes.concepts.indices
    layers = {}
    for number, layer in codes.layers.items():
        order = np.argsort(rng.random((layer.indices[..., 0].size, len(known))), axis=1)
        drawn = known[order[:, :5]].reshape(layer.indices.shape)
        layers[number] = replace(layer, indices=np.where(layer.indices >= 0, drawn, -1))
    found = coherence(replace(codes, layers=layers))
    for record in found.table("overall").records:
        assert abs(record["above_chance"]["mean"]) < 0.012, record


def test_a_judges_scores_are_averaged() -> None:
    scores = [Score(5, 0, 0, "+", 4), Score(5, 0, 0, "-", 1), Score(4, 1, 2, "+", 5)]
    found = coherence(made.few(), scores=scores, draws=1)
    assert overall(found, "judged")["mean"]["mean"] == pytest.approx(10 / 3)
    heads = {(r["layer"], r["head"]): r["judged"] for r in found.table("heads").records}
    assert heads[5, 0] == 2.5
    assert heads[5, 1] is None
    with pytest.raises(InputError, match=r"0\.0\.0"):
        coherence(made.few(), scores=[Score(0, 0, 0, "+", 4)])


def test_few_concepts_are_drawn_once_each() -> None:
    codes = made.few()
    layer = codes.layers[5]
    few = codes.concepts.indices[:6]
    indices = np.broadcast_to(few[:5], layer.indices.shape)
    ones = replace(layer, indices=indices, coefficients=np.ones_like(layer.coefficients))
    kept = {
        name: getattr(codes.concepts, name)[:6]
        for name in ("indices", "labels", "vectors", "factors")
    }
    small = replace(codes, layers={5: ones}, concepts=replace(codes.concepts, **kept))
    vectors = kept["vectors"].astype(float)
    every = [vectors[i] @ vectors[j] for i, j in combinations(range(6), 2)]
    found = overall(coherence(small), "similarity")
    assert found["chance"]["mean"] == pytest.approx(np.mean(every), abs=0.01)


# --- agreement ---


def named(evaluation, measure: str, way: str = "label") -> dict:
    records = evaluation.table("overall").records
    return next(r for r in records if (r["measure"], r["matched_by"]) == (measure, way))


def test_codes_agree_with_themselves() -> None:
    found = agreement(made.few(), made.few())
    for way in ("label", "index"):
        for measure in ("jaccard", "overlap"):
            record = named(found, measure, way)
            assert record["mean"]["mean"] == pytest.approx(1)
            assert record["sigma_weighted"]["low"] == pytest.approx(1)
            assert record["chance"] < 0.1


def test_two_lambdas_by_hand() -> None:
    ours, theirs = (
        made.few(),
        decompose(
            made.spectra(),
            made.little_pool(),
            layers="4-5",
            options=Options(rank=3, coherence=0.0),
        ),
    )
    found = agreement(ours, theirs)
    a, b = Explained.of(ours), Explained.of(theirs)
    jaccard, overlap = [], []
    for i in range(len(a.layer)):
        first = dict(zip(a.indices[i], a.weights[i], strict=True))
        second = dict(zip(b.indices[i], b.weights[i], strict=True))
        first.pop(-1, None), second.pop(-1, None)
        jaccard.append(len(set(first) & set(second)) / len(set(first) | set(second)))
        overlap.append(sum(min(first.get(c, 0), second.get(c, 0)) for c in first))
    assert named(found, "jaccard", "index")["mean"]["mean"] == pytest.approx(np.mean(jaccard))
    record = named(found, "overlap", "index")
    assert record["mean"]["mean"] == pytest.approx(np.mean(overlap))
    weighted = np.average(overlap, weights=a.sigma)
    assert record["sigma_weighted"]["mean"] == pytest.approx(weighted)
    assert record["sigma_weighted"]["low"] < weighted < record["sigma_weighted"]["high"]


@settings(max_examples=40)
@given(*[st.dictionaries(st.sampled_from("abcde"), st.floats(0.01, 1), min_size=1)] * 2)
def test_overlap_is_symmetric_and_1_for_the_same(first: dict, second: dict) -> None:
    a = {name: w / sum(first.values()) for name, w in first.items()}
    b = {name: w / sum(second.values()) for name, w in second.items()}
    assert alike(a, b) == pytest.approx(alike(b, a))
    assert alike(a, a) == pytest.approx((1, 1))
    assert all(0 <= figure <= 1 + 1e-12 for figure in alike(a, b))


def test_two_pools_are_compared_by_label_alone_whatever_its_case() -> None:
    pool = made.little_pool()
    order = np.random.default_rng(0).permutation(len(pool.concepts))
    moved = replace(
        pool,
        embeddings=pool.embeddings[order],
        concepts=[pool.concepts[i].upper() for i in order],
        factors=None,
    )
    other = decompose(made.spectra(), moved, layers="4-5", options=Options(rank=3))
    found = agreement(made.few(), other)
    assert {r["matched_by"] for r in found.table("overall").records} == {"label"}
    assert named(found, "jaccard")["mean"]["mean"] > 0.99


def test_one_pole_and_fewer_layers_are_compared_and_told() -> None:
    plus = decompose(
        made.spectra(), made.little_pool(), layers="5", options=Options(pole="+", rank=2)
    )
    found = agreement(made.few(), plus)
    assert found.header["layers"] == [5]
    assert found.header["poles"] == ["+"]
    assert named(found, "jaccard")["count"] == 8 * 2
    assert named(found, "jaccard")["mean"]["mean"] == 1
    assert len(found.notes) == 3


def _other_layer(codes: Codes) -> Codes:
    digests = codes.model.layers | {5: "0" * 32}
    return replace(codes, model=replace(codes.model, layers=digests))


def _other_sigma(codes: Codes) -> Codes:
    layer = replace(codes.layers[5], singular_values=codes.layers[5].singular_values * 1.1)
    return replace(codes, layers=dict(codes.layers) | {5: layer})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (_other_layer, "layer 5 has other weights"),
        (_other_sigma, "layer 5 has other weights"),
        (lambda c: replace(c, model=replace(c.model, space="x")), "different models"),
        (lambda c: replace(c, parameters=c.parameters | {"side": "left"}), "side is right"),
        (lambda c: replace(c, parameters=c.parameters | {"plain": True}), "plain is False"),
        (lambda c: replace(c, parameters=c.parameters | {"poles": []}), "no pole"),
        (lambda c: replace(c, layers={}), "no layer"),
    ],
)
def test_codes_of_other_vectors_are_refused(change, word: str) -> None:
    with pytest.raises(InputError, match=word):
        agreement(made.few(), change(made.few()))


# --- the commands ---


@pytest.mark.parametrize("task", ["fidelity", "coherence", "agreement"])
def test_json_is_the_same_every_time_and_a_file_holds_it(
    task: str, folder: Path, run: Run, tmp_path: Path
) -> None:
    codes, target = folder / "codes", tmp_path / "report.json"
    more = {
        "fidelity": ("--pool", folder / "pool", "--samples", 20),
        "coherence": ("--draws", 2),
        "agreement": (codes, "--permutations", 2),
    }[task]
    first = run("eval", task, codes, *more, "--format", "json", "--seed", 4)
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["task"] == task
    again = ("eval", task, codes, *more, "--format", "json", "--seed", 4, "-o", target)
    assert run(*again).exit_code == 0
    assert target.read_bytes() == first.stdout.encode()
    assert run(*again).exit_code == 3  # it exists
    assert "head" in run("eval", task, codes, *more).stdout


def test_the_tasks_by_name(folder: Path) -> None:
    found = evaluate("coherence", load(folder / "codes", Codes), draws=1)
    assert found.document()["heads"]
    with pytest.raises(InputError, match="no task"):
        evaluate("confidence")


def _pool_of(folder: Path, tmp_path: Path, **changes: object) -> Path:
    save(replace(load(folder / "pool", Pool), **changes), tmp_path / "pool")
    return tmp_path / "pool"


def test_a_pool_that_is_not_the_codes_own_is_refused(
    folder: Path, run: Run, tmp_path: Path
) -> None:
    pool = load(folder / "pool", Pool)
    wrong = {
        "another model": {"model": replace(pool.model, space="x")},
        "concept ": {"concepts": pool.concepts[::-1]},
        "embeddings": {"embeddings": pool.embeddings[::-1].copy()},
        "features": {"embeddings": pool.embeddings[:, :9].copy()},
    }
    for word, changes in wrong.items():
        path = _pool_of(folder, tmp_path, **changes)
        result = run("eval", "fidelity", folder / "codes", "--pool", path)
        assert result.exit_code == 3, result.output
        assert len(result.stderr.splitlines()) == 1
        assert word in result.stderr


def test_spectra_that_are_not_the_codes_own_are_refused(
    folder: Path, run: Run, tmp_path: Path
) -> None:
    spectra = made.spectra()
    last = spectra.layers[5]
    wrong = {
        "lack layer 4": {"layers": {5: last}},
        "another model": {"model": replace(spectra.model, space="x")},
        "--plain": {"plain": True},
        "layer 5 has other weights": {
            "layers": dict(spectra.layers)
            | {5: replace(last, singular_values=last.singular_values * 2)}
        },
        "2 vectors a head where 3": {
            "layers": {
                n: replace(v, left=v.left[:, :2], right=v.right[:, :2])
                for n, v in spectra.layers.items()
            }
        },
    }
    for word, changes in wrong.items():
        save(replace(spectra, **changes), tmp_path / "spectra")
        files = ("--pool", folder / "pool", "--spectra", tmp_path / "spectra")
        result = run("eval", "fidelity", folder / "codes", *files)
        assert result.exit_code == 3, result.output
        assert len(result.stderr.splitlines()) == 1
        assert word in result.stderr


def test_vectors_are_in_the_order_of_the_codes() -> None:
    codes = made.few()
    vectors, rows = vectors_explained(codes, made.spectra()), Explained.of(codes)
    for i in (0, 1, 37, len(vectors) - 1):
        right = made.spectra().layers[int(rows.layer[i])].right[rows.head[i], rows.sv[i]]
        sign = 1 if codes.poles[rows.pole[i]] == "+" else -1
        assert np.allclose(vectors[i].numpy(), sign * right)


def test_what_is_no_codes_is_refused(folder: Path, run: Run) -> None:
    for task in ("fidelity", "coherence", "trust"):
        result = run("eval", task, folder / "pool")
        assert result.exit_code == 3
        assert f"sithctl eval {task}: expected codes" in result.stderr
    result = run("eval", "agreement", folder / "codes", folder / "pool")
    assert result.exit_code == 3
    assert run("eval", "agreement", "-", "-").exit_code == 2
    empty = replace(made.few(), layers={})
    with pytest.raises(InputError, match="no explanation"):
        coherence(empty)


@pytest.mark.parametrize("name", ["layers/{}/coefficients", "concepts/vectors"])
def test_codes_with_nan_are_refused(name: str, folder: Path, run: Run, tmp_path: Path) -> None:
    damaged = tmp_path / "codes"
    shutil.copy(folder / "codes", damaged)
    with h5py.File(damaged, "r+") as file:
        values = file[name.format(next(iter(file["layers"])))]
        values[...] = np.full(values.shape, np.nan)
    result = run("eval", "coherence", str(damaged))
    assert result.exit_code == 3
    assert "NaN" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "task",
    [
        ["agreement", "codes", "codes"],
        ["coherence", "codes"],
        ["retrieval", "--data", "scenes:safe"],
        ["zero-shot", "--data", "scenes:spurious"],
    ],
)
def test_a_seed_below_0_is_refused_before_any_work(task: list[str], run: Run) -> None:
    result = run("eval", *task, "--seed", "-1")
    assert result.exit_code == 2
    assert "--seed" in result.stderr
