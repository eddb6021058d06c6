"""Grades of explanations: what they are made of, that they go with truth, and where they show."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import h5py
import made
import numpy as np
import pytest
import torch
from conftest import Run
from typer.testing import CliRunner

from sithctl.artifacts import load, save
from sithctl.errors import InputError
from sithctl.evaluation.bootstrap import bootstrap
from sithctl.evaluation.explained import Explained
from sithctl.evaluation.factors import explained_shares
from sithctl.evaluation.grades import Signs
from sithctl.evaluation.grading import Trust, grade, poles_overlap, ungraded
from sithctl.evaluation.matching import options_of, own_dictionary, vectors_explained
from sithctl.evaluation.stability import halves, kept_agreement
from sithctl.evaluation.trust import report, trust
from sithctl.kinds import Codes, Mean
from sithctl.models.readout import centred_features
from sithctl.pursuit import SparseCodes
from sithctl.stages.decompose import code
from sithctl.stages.explain import explain
from sithctl.stages.imported import import_codes
from sithctl.stages.options import Options


@cache
def graded() -> Trust:
    return grade(made.codes(), made.spectra(), made.pool(), repeats=4, samples=200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = made.saved(tmp_path_factory.mktemp("made"))
    save(graded().codes, folder / "graded")
    return folder


def test_grades_go_with_truth() -> None:
    """On concepts whose factors are known, an A says one thing more often than a D does."""
    truth, grades = explained_shares(made.codes()), graded().grades
    best, worst = (bootstrap(truth[grades == letter], 0) for letter in (1, 4))
    assert best.low > worst.high
    means = [truth[grades == letter].mean() for letter in (1, 2, 3)]
    assert means == sorted(means, reverse=True)
    assert min(np.bincount(grades, minlength=5)[1:]) > 30  # all four are given


def test_random_directions_are_graded_beside_and_get_no_better_than_themselves() -> None:
    trusted = graded()
    assert len(trusted.of_random) == 200 * 2
    ours, random = ((g <= 2).mean() for g in (trusted.grades, trusted.of_random))
    assert 0 < random < min(0.25, ours)  # by the percentile alone it were a quarter
    assert report(trusted).notes[-1].endswith("(by chance)")
    tie = replace(trusted, grades=trusted.of_random)
    from sithctl.evaluation.trust import against_chance

    assert "not clearly more than by chance" in against_chance(tie)


def test_a_grade_is_that_of_the_worst_sign() -> None:
    nan = np.nan
    rows = [  # empty, degenerate, overlap, percentile, poles → grade, reasons
        ((0, 0, 0.75, 0.95, 0.0), "A", ()),
        ((0, 0, 0.74, 0.95, 0.2), "B", ("unstable",)),
        ((0, 0, 0.9, 0.94, nan), "B", ("near-chance",)),
        ((0, 1, 0.9, 0.99, nan), "C", ("degenerate",)),
        ((0, 0, 0.4, 0.8, nan), "C", ("unstable", "near-chance")),
        ((0, 0, 0.9, 0.49, nan), "D", ("near-chance",)),
        ((0, 0, 0.2, 0.99, nan), "D", ("unstable",)),
        ((0, 0, 0.9, 0.99, 0.3), "B", ("same-poles",)),
        ((0, 0, 0.9, 0.99, 0.5), "D", ("same-poles",)),
        ((1, 0, nan, 0.99, nan), "D", ("empty",)),
        ((0, 0, nan, 0.99, nan), "B", ("untested",)),
    ]
    empty, degenerate, overlap, percentile, poles = np.array([row[0] for row in rows]).T
    signs = Signs(empty > 0, degenerate > 0, overlap, overlap, percentile, poles)
    grades, reasons = signs.grades()
    codes = made.few()
    layer = codes.layers[5]
    shape = (len(rows), 1, 1)
    cut = replace(
        layer,
        **{
            name: np.resize(getattr(layer, name), (*shape[:n], *getattr(layer, name).shape[n:]))
            for name, n in (("indices", 3), ("coefficients", 3), ("fidelity", 3))
        },
        singular_values=np.ones(shape[:2]),
        energy=np.ones(shape[:2]),
        degenerate=np.zeros(shape[:2], bool),
        grade=grades.reshape(shape),
        reasons=reasons.reshape(shape),
    )
    parameters = codes.parameters | {"poles": ["+"]}
    shown = explain(replace(codes, layers={5: cut}, parameters=parameters))
    assert [(e.grade, e.reasons) for e in shown] == [row[1:] for row in rows]


def test_the_coder_gives_the_very_codes_again() -> None:
    """What is run again for stability is what ``decompose`` ran."""
    codes = made.few()
    options, repeatable = options_of(codes)
    vectors = vectors_explained(codes, made.spectra())
    targets = centred_features(vectors, codes.readout, torch.from_numpy(codes.mean).double())
    found = code(targets, own_dictionary(codes, made.little_pool()), options)
    rows = Explained.of(codes)
    assert repeatable
    assert np.array_equal(found.indices.numpy(), rows.indices)
    assert np.allclose(found.coefficients.numpy(), rows.coefficients)


def test_two_halves_in_a_row_are_the_whole() -> None:
    found = list(halves(11, 5, 0))
    assert len(found) == 5
    for first, rest in ((found[0], found[1]), (found[2], found[3])):
        assert sorted([*first, *rest]) == list(range(11))
        assert len(first) == 5
    assert not np.array_equal(found[0], found[2])


def test_stability_by_hand() -> None:
    """Explanation {7: 0.6, 3: 0.3, 5: 0.1}; the half keeps 7 and 5; found again are 7 and a 2."""
    before, weights = np.array([[7, 3, 5, -1]]), np.array([[0.6, 0.3, 0.1, 0.0]])
    kept = np.array([2, 5, 7])

    def again(indices: list[int], coefficients: list[float]) -> tuple[float, float]:
        found = SparseCodes(torch.tensor([indices]), torch.tensor([coefficients]), torch.zeros(1))
        jaccard, overlap = kept_agreement(before, weights, np.array([indices]), found, kept)
        return jaccard[0], overlap[0]

    assert again([7, 2, -1], [0.5, 0.4, 0.0]) == pytest.approx((1 / 2, 6 / 7))
    assert again([2, 5, 7], [0.5, 0.05, 0.3]) == pytest.approx((1, 1))
    assert again([2, -1, -1], [0.5, 0.0, 0.0]) == (0, 0)


@pytest.mark.parametrize("method", ["comp", "nnomp", "top-k"])
def test_what_cannot_change_is_stable(method: str) -> None:
    """On an orthonormal pool each concept is chosen for itself: stability is not lowered by what
    was dropped, nor by what takes its place."""
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(np.linalg.qr(rng.standard_normal((24, 24)))[0]).float()
    targets = torch.nn.functional.normalize(torch.from_numpy(rng.random((9, 24))) @ rows.double())
    options = Options(method=method, sparsity=4)
    whole = code(targets, rows, options)
    indices, weights = whole.indices.numpy(), whole.coefficients.numpy().astype(float)
    for kept in halves(24, 6, 1):
        found = code(targets, rows[kept], options)
        again = kept[found.indices.numpy()]
        jaccard, overlap = kept_agreement(indices, weights, again, found, kept)
        known = np.isin(indices, kept).any(1)
        assert np.allclose(jaccard[known], 1)
        assert np.allclose(overlap[known], 1)
        assert np.isnan(jaccard[~known]).all()


def test_poles_that_say_the_same_are_no_explanation() -> None:
    codes = made.few()
    layers = {
        n: replace(v, indices=v.indices[:, :, [0, 0]], coefficients=v.coefficients[:, :, [0, 0]])
        for n, v in codes.layers.items()
    }
    same = replace(codes, layers=layers)
    assert poles_overlap(Explained.of(same)) == pytest.approx(1)
    found = grade(same, made.spectra(), made.little_pool(), repeats=2, samples=20)
    assert set(found.grades) == {4}
    plus = replace(codes, parameters=codes.parameters | {"poles": ["+"]})
    assert np.isnan(poles_overlap(replace(Explained.of(plus), poles=1))).all()


def test_imported_codes_are_no_better_than_b() -> None:
    layer = made.few().layers[5]
    found = {5: (layer.coefficients[:, :, 0], layer.indices[:, :, 0])}
    codes = import_codes(made.spectra(), made.little_pool(), found)
    evaluation = trust(codes, made.spectra(), made.little_pool(), samples=20)
    records = evaluation.table("explanations").records
    assert all("untested" in r["reasons"] and r["grade"] != "A" for r in records)
    assert any("stability is not tested" in note for note in evaluation.notes)


def test_to_grade_again_is_to_grade_anew() -> None:
    first = grade(made.few(), made.spectra(), made.little_pool(), repeats=2, samples=20)
    again = grade(first.codes, made.spectra(), made.little_pool(), repeats=2, samples=20)
    assert again.codes.digest == first.codes.digest != made.few().digest
    assert ungraded(first.codes).digest == made.few().digest
    assert [s["stage"] for s in again.codes.history].count("eval trust") == 1


def test_another_mean_is_refused() -> None:
    codes = made.few()
    other = Mean(codes.model, (), codes.mean.astype(float) * 0.5, 1)
    with pytest.raises(InputError, match="not the codes' own"):
        grade(codes, made.spectra(), made.little_pool(), other)


# --- the file and what shows it ---


def test_ungraded_codes_have_no_trace_of_grades(folder: Path) -> None:
    with h5py.File(folder / "codes") as file:
        assert not {"grade", "reasons"} & set(file["layers/5"])
    records = json.loads(_explained(folder / "codes", "json"))
    assert not {"grade", "reasons"} & set(records["explanations"][0])
    assert _explained(folder / "codes", "csv").splitlines()[0].endswith("coefficient,index")
    assert "grade" not in _explained(folder / "codes", "markdown")


def _explained(codes: Path, form: str, *more: str) -> str:
    from sithctl.commands.app import app

    words = ["explain", str(codes), "--format", form, *more]
    result = CliRunner().invoke(app, words, prog_name="sithctl")
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def test_graded_codes_come_back_and_explain_shows_them(folder: Path) -> None:
    back = load(folder / "graded", Codes)
    expected = explain(graded().codes)
    assert [e.grade for e in explain(back)] == [e.grade for e in expected]
    place = ("--layer", "5", "--head", "2")
    records = json.loads(_explained(folder / "graded", "json", *place))["explanations"]
    grades = [e.grade for e in explain(back, layer=5, head=2)]
    assert [r["grade"] for r in records] == grades
    header, *lines = _explained(folder / "graded", "csv", *place).splitlines()
    assert header.endswith("coefficient,index,grade,reasons")
    assert {len(line.split(",")) for line in lines} == {len(header.split(","))}
    assert "| fidelity | grade | concepts |" in _explained(folder / "graded", "markdown", *place)
    table = _explained(folder / "graded", "table", *place)
    assert "grade" in table.splitlines()[2]


def test_min_grade_leaves_out_what_is_worse(folder: Path, run: Run) -> None:
    every = explain(graded().codes)
    for letter in "ABCD":
        kept = explain(graded().codes, min_grade=letter)
        assert list(kept) == [e for e in every if e.grade is not None and e.grade <= letter]
    lines = _explained(folder / "graded", "jsonl", "--min-grade", "a").splitlines()
    assert {json.loads(line)["grade"] for line in lines} == {"A"}
    for words in (("explain", folder / "codes"), ("explain", "--layer", "5")):
        result = run(*words, "--min-grade", "B")
        assert result.exit_code == 3
        assert "sithctl eval trust" in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("damage", ["range", "shape", "alone"])
def test_damaged_grades_are_refused(damage: str, folder: Path, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "damaged"
    path.write_bytes((folder / "graded").read_bytes())
    with h5py.File(path, "r+") as file:
        layer = file["layers/5"]
        values = layer["grade"][()]
        del layer["grade"]
        if damage == "range":
            layer["grade"] = values + 4
        elif damage == "shape":
            layer["grade"] = values[:, :2]
    result = run("explain", path)
    assert result.exit_code == 3
    assert "damaged codes" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_command(folder: Path, run: Run, tmp_path: Path) -> None:
    """The same bytes with spectra that are given and with those made again."""
    given, made_again, report = tmp_path / "given", tmp_path / "again", tmp_path / "report"
    few = ("--repeats", 2, "--samples", 20, "--format", "json")
    start = ("eval", "trust", folder / "codes", "--pool", folder / "pool", *few)
    first = run(*start, "--spectra", folder / "spectra", "-o", given)
    assert first.exit_code == 0, first.output
    assert run(*start, "-o", made_again, "--report", report).stdout == ""
    assert given.read_bytes() == made_again.read_bytes()
    assert report.read_bytes() == first.stdout.encode()
    document = json.loads(first.stdout)
    assert sum(r["count"] for r in document["grades"]) == len(document["explanations"])
    assert load(given, Codes).graded
    assert run(*start, "-o", given).exit_code == 3
    assert run(*start, "-o", "-").exit_code == 2


def test_a_single_concept_is_stable_by_nature_and_that_is_told() -> None:
    one = replace(made.codes(), parameters={**made.codes().parameters, "sparsity": 1})
    notes = " ".join(report(replace(graded(), codes=one)).notes)
    assert "with K 1 stability says nothing" in notes
    assert "with K 1" not in " ".join(report(graded()).notes)
