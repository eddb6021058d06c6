"""Finding what says something: against brute force, and through the command line."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, Shell
from hypothesis import given
from hypothesis import strategies as st
from test_report import made

from sithctl.artifacts import save
from sithctl.kinds import Codes
from sithctl.stages.choice import Choice, chosen, place
from sithctl.stages.explain import explain
from sithctl.stages.find import find, suggestions, unnamed
from sithctl.stages.relevance import reaching
from sithctl.stages.similarity import names, phrases_in
from sithctl.views.terminal import plain_text

COLOURS = ["red", "crimson", "blue", "hundred", "Red-ish", "café"]
SHAPES = ["ring", "box", "hoop", "red ring", "thing in the sea"]
LABELS = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]


@pytest.fixture(scope="module")
def codes() -> Codes:
    return made(labels=LABELS)


def share(e, words: list[str]) -> float:
    """The weight, as its definition has it."""
    total = sum(c.coefficient for c in e.concepts)
    said = [
        c.coefficient
        for c in e.concepts
        if any(re.search(rf"(?<!\w){w}(?!\w)", c.concept, re.IGNORECASE) for w in words)
    ]
    return sum(said) / total if total else 0.0


@pytest.mark.parametrize("words", [["red"], ["red", "crimson"], ["thing in the sea"], ["the sea"]])
def test_every_match_and_no_other_by_brute_force(codes: Codes, words: list[str]) -> None:
    rows = explain(codes)
    expected = {(e.layer, e.head, e.sv, e.pole): share(e, words) for e in rows if share(e, words)}
    found = find(codes, words)
    places = [(m.explanation.layer, m.explanation.head, m.explanation.sv) for m in found]
    weights = {
        (*place, m.explanation.pole): m.weight for place, m in zip(places, found, strict=True)
    }
    assert len(weights) == len(found)
    assert weights == pytest.approx(expected, abs=1e-8)
    keys = [
        (-m.weight, -(m.explanation.fidelity.feature or 0.0), -m.explanation.singular_value, place)
        for m, place in zip(found, places, strict=True)
    ]
    assert keys == sorted(keys)
    assert 0 < len(found) < len(rows)


def test_the_poles_are_found_apart_and_the_better_is_what_an_edit_goes_by(codes: Codes) -> None:
    def encode(texts: list[str]) -> np.ndarray:
        return np.array([np.random.default_rng(sum(map(ord, t))).normal(size=9) for t in texts])

    found = find(codes, ["red", "blue"], similar=True, encode=encode, threshold=0.0)
    reached = reaching(codes, ["red", "blue"], encode)
    best: dict = {}
    for m in found:  # the best come first
        e = m.explanation
        best.setdefault((e.layer, e.head, e.sv), (m.weight, e.pole, m.phrase))
    above = {p: (r.score, r.pole, r.what) for p, r in reached.items() if r.score > 0}
    assert best == above
    assert len(above) > 20


def test_what_an_edit_removed_is_neither_found_nor_first(codes: Codes) -> None:
    layer = codes.layers[3]
    sigma, energy = layer.singular_values.copy(), layer.energy.copy()
    sigma[0, -2:], energy[0, -2:] = 1.6e-9, (1.6e-9) ** 2
    cut = replace(layer, singular_values=sigma, energy=energy)
    edited = replace(codes, layers=codes.layers | {3: cut})
    gone = {(3, 0, 4), (3, 0, 5)}
    every = {place(m.explanation) for m in find(codes, LABELS)}
    assert gone <= every
    found = [m.explanation for m in find(edited, LABELS)]
    assert {place(e) for e in found} == every - gone
    keys = [(-(e.fidelity.feature or 0.0), -e.singular_value, place(e)) for e in found]
    assert keys == sorted(keys)  # all of weight 1
    for order in ("sigma", "fidelity", "concept"):
        rows = chosen(edited, Choice(order=order))
        assert {place(e) for e in rows[-4:]} == gone
    shown = plain_text(explain(edited, layer=3, head=0), "made")
    assert shown.count("0† ") == 2
    assert shown.count("† σ 0: removed") == 1
    assert "†" not in plain_text(explain(codes), "made")


def test_whole_words_whatever_their_case_or_spelling_of_accents() -> None:
    assert names("A RED ring", "red")
    assert names("Straße", "STRASSE")
    assert names("cafe\u0301 box", "CAFÉ")
    assert not names("cafe\u0301 box", "cafe")
    assert not names("hundred things", "red")
    assert not names("red ring", "ring red")


@given(st.lists(st.text("ab ", min_size=1).filter(str.strip), min_size=1))
def test_phrases_are_told_apart_by_commas(parts: list[str]) -> None:
    found = phrases_in(",".join(parts))
    assert {p.casefold() for p in found} == {p.strip().casefold() for p in parts}
    assert len(found) == len({p.casefold() for p in found})


def test_what_nobody_names_is_said_with_what_is_near(codes: Codes) -> None:
    assert unnamed(codes, ["red", "crimsn"]) == ["crimsn"]
    assert suggestions(codes, "crimsn") == ["crimson"]
    assert "red ring" in suggestions(codes, "red rng")
    assert suggestions(codes, "qqqq") == []


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, codes: Codes) -> Path:
    path = tmp_path_factory.mktemp("find") / "codes.h5"
    save(codes, path)
    return path


def test_formats_say_the_same(run: Run, file: Path, codes: Codes, tmp_path: Path) -> None:
    found = find(codes, ["red"], layer=4, head="0-1")
    asked = ("find", "red", file, "--layer", 4, "--head", "0-1")
    document = json.loads(run(*asked, "--format", "json").stdout)
    assert document["phrases"] == ["red"]
    assert [m["weight"] for m in document["matches"]] == [m.weight for m in found]
    for m in document["matches"]:
        assert [c["alike"] for c in m["concepts"]] == [
            float(bool(re.search(r"\bred\b", c["concept"], re.IGNORECASE))) for c in m["concepts"]
        ]
    lines = [json.loads(line) for line in run(*asked, "--format", "jsonl").stdout.splitlines()]
    assert lines == document["matches"]
    for format_, delimiter in (("csv", ","), ("tsv", "\t")):
        text = run(*asked, "--format", format_, "--top", 3).stdout
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
        assert [float(row["weight"]) for row in rows] == [m.weight for m in found[:3]]
        both = "; ".join(filter(None, (rows[0]["matching"], rows[0]["others"])))
        assert sorted(both.split("; ")) == sorted(c.concept for c in found[0].explanation.concepts)
    assert run(*asked, "--format", "markdown").stdout.count("\n") == len(found) + 2
    out = tmp_path / "found.txt"
    assert run(*asked, "-o", out).exit_code == 0
    assert run(*asked, "-o", out).exit_code == 3
    assert len(re.findall(r"^ ?4\.[01]\.\d", out.read_text(), re.MULTILINE)) == len(found)


def test_a_table_has_the_best_twenty_and_says_so(run: Run, file: Path, codes: Codes) -> None:
    count = len(find(codes, ["red"]))
    result = run("find", "red", file)
    assert len(re.findall(r"^ ?[34]\.\d\.\d", result.stdout, re.MULTILINE)) == 20
    assert f"{count - 20} of {count} are not shown: --top {count}" in result.stderr
    assert "made · red ·" in result.stdout


def test_titles_say_the_text_tower(run: Run, codes: Codes, tmp_path: Path) -> None:
    text = replace(codes, architecture=codes.architecture | {"tower": "text"})
    save(text, tmp_path / "text.h5")
    for words in (("find", "red"), ("explain",)):
        assert "made · text tower · " in run(*words, tmp_path / "text.h5").stdout


def test_nothing_found_is_no_failure(run: Run, file: Path) -> None:
    result = run("find", "crimsn", file)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "did you mean crimson?" in result.stderr
    assert "--similar" in result.stderr
    empty = run("find", "crimsn", file, "--format", "json", "--quiet")
    assert json.loads(empty.stdout)["matches"] == []
    assert empty.stderr == ""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("find", " , "), 2, "no word to look for"),
        (("find", "red, !"), 2, "no word to look for"),
        (("find", "red", "FILE", "--pool", "x"), 2, "leave out --pool"),
        (("find", "red", "FILE", "--model", "scenes"), 2, "leave out --model"),
        (("find", "red", "FILE", "--layer", "9"), 3, "no layer 9"),
        (("find", "red", "FILE", "--min-grade", "b"), 3, "no grades"),
        (("find", "red", "missing.h5"), 3, "no such file"),
        (("find", "red", "FILE", "--similar"), 3, "is not to be had"),
    ],
)
def test_errors_are_one_line(run: Run, file: Path, words: tuple, code: int, said: str) -> None:
    result = run(*(file if word == "FILE" else word for word in words))
    assert result.exit_code == code
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_similar_finds_what_an_edit_would_suppress(
    run: Run, tiny_clip: Path, tmp_path: Path
) -> None:
    pool = tmp_path / "words.txt"
    pool.write_text("crimson\nazure thing\nhoop\nstriped thing\nocean\nsnow\ntwo red boxes\n")
    chain = ("--pool", pool, "--mean", "none")
    words = ("--model", tiny_clip, *chain, "--layer", 4, "--similar", "--format", "json")
    document = json.loads(run("find", "hoop", *words).stdout)
    assert document["by"] == f"the text tower of {tiny_clip.name}"
    found = {(m["layer"], m["head"], m["sv"]) for m in document["matches"]}
    words = (*chain, "--layers", 4, "--suppress", "hoop", "--dry-run", "--format", "json")
    edit = json.loads(run("edit", tiny_clip, *words).stdout)
    assert found == {(c["layer"], c["head"], c["sv"]) for c in edit["changes"]}
    assert found


def test_a_pipe_and_embeddings_of_the_pool(shell: Shell, file: Path) -> None:
    line = f"sithctl find red - --similar --model none --format jsonl < {file}"
    result = shell(line)
    assert result.returncode == 0
    assert shell(line).stdout == result.stdout
    first = json.loads(result.stdout.splitlines()[0])
    assert first["weight"] >= 0.3
    assert b"no text tower" in result.stderr
