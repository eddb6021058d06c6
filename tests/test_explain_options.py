"""``explain``: --sort, --grep, --beside."""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from hypothesis import given
from hypothesis import strategies as st
from test_report import made

from sithctl.artifacts import save
from sithctl.commands.common import SUFFIXES
from sithctl.errors import UsageError
from sithctl.kinds import Codes, Identity
from sithctl.stages.choice import Choice, chosen, parse_pattern
from sithctl.stages.explain import explain

LABELS = [f"{c} {s}" for c in ("red", "crimson", "blue") for s in ("ring", "box", "Hoop", "Star")]


@pytest.fixture(scope="module")
def codes() -> Codes:
    return made(labels=LABELS)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, codes: Codes) -> dict[str, Path]:
    """Codes, other explanations of the same vectors, and those that do not go with them."""
    same = {
        n: replace(
            v, singular_values=codes.layers[n].singular_values, energy=codes.layers[n].energy
        )
        for n, v in made(labels=LABELS, seed=7).layers.items()
    }
    other = replace(codes, layers=same, parameters={**codes.parameters, "side": "left"})
    third = {5: same[4]}
    whose = {3: "a", 4: "b"}
    kinds = {
        "codes": codes,
        "left": other,
        "apart": replace(codes, layers=third, architecture={**codes.architecture, "layers": 6}),
        "sigma": made(labels=LABELS, seed=8),
        "mine": replace(codes, model=Identity("made", "x", whose)),
        "edited": replace(other, model=Identity("edited", "x", {**whose, 4: "c"})),
    }
    folder = tmp_path_factory.mktemp("options")
    for name, made_codes in kinds.items():
        save(made_codes, folder / f"{name}.h5")
    return {name: folder / f"{name}.h5" for name in kinds}


def places(rows: list) -> list[tuple]:
    return [(e.layer, e.head, e.sv, e.pole) for e in rows]


@pytest.mark.parametrize("order", ["sigma", "fidelity", "concept"])
def test_sorting_is_of_all_heads_and_stable(codes: Codes, order: str) -> None:
    rows = chosen(codes, Choice(order=order))
    assert sorted(places(rows)) == sorted(places(explain(codes)))
    key = {
        "sigma": lambda e: -e.singular_value,
        "fidelity": lambda e: -e.fidelity.feature,
        "concept": lambda e: [c.concept.casefold() for c in e.concepts] or ["\uffff"],
    }[order]
    both = [(key(e), place) for e, place in zip(rows, places(rows), strict=True)]
    assert both == sorted(both)
    few = chosen(codes, Choice(order=order, top=3))
    assert few == rows[: len(few)]
    assert len({place[:3] for place in places(few)}) == 3


def test_what_has_no_fidelity_or_concept_comes_last(codes: Codes) -> None:
    layer = codes.layers[4]
    fidelity, indices = layer.fidelity.copy(), layer.indices.copy()
    fidelity[0, 0], indices[1, 1] = np.nan, -1
    torn = replace(codes, layers={4: replace(layer, fidelity=fidelity, indices=indices)})
    assert {place[:3] for place in places(chosen(torn, Choice(order="fidelity")))[-2:]} == {
        (4, 0, 0)
    }
    assert {place[:3] for place in places(chosen(torn, Choice(order="concept")))[-2:]} == {
        (4, 1, 1)
    }


@pytest.mark.parametrize(
    "pattern", ["red", "RED", "hoop$", "Hoop$", r"\Sed", "^(blue|crimson) ", "q"]
)
def test_grep_keeps_what_matches(codes: Codes, pattern: str) -> None:
    has_capitals = pattern in {"RED", "Hoop$"}
    found = re.compile(pattern, 0 if has_capitals else re.IGNORECASE)
    expected = [e for e in explain(codes) if any(found.search(c.concept) for c in e.concepts)]
    assert chosen(codes, Choice(pattern=parse_pattern(pattern))) == expected
    first = chosen(codes, Choice(pattern=parse_pattern(pattern), top=1))
    heads = [(e.layer, e.head) for e in expected]
    assert len({place[:3] for place in places(first)}) == len(set(heads))


@given(st.text())
def test_any_pattern_compiles_or_is_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert parse_pattern(text).pattern == text


def test_every_format_is_sorted_and_filtered(run: Run, files: dict[str, Path]) -> None:
    asked = ("explain", files["codes"], "--sort", "fidelity", "--grep", "star", "--top", 7)
    document = json.loads(run(*asked, "--format", "json").stdout)["explanations"]
    at = [(e["layer"], e["head"], e["sv"], e["pole"]) for e in document]
    lines = run(*asked, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == document
    for format_, delimiter in (("csv", ","), ("tsv", "\t")):
        text = run(*asked, "--format", format_).stdout
        rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
        cells = [tuple(row[n] for n in ("layer", "head", "sv", "pole")) for row in rows]
        assert list(dict.fromkeys(cells)) == [tuple(map(str, place)) for place in at]
    vectors = [f"{a}.{b}.{c}" for a, b, c, _ in at]
    markdown = run(*asked, "--format", "markdown").stdout
    assert re.findall(r"^\| (\d\.\d\.\d+)", markdown, re.MULTILINE) == vectors
    table = run(*asked).stdout
    assert "made · by fidelity" in table
    seen = re.findall(r"^ *(\d\.\d\.\d+)", table, re.MULTILINE)
    assert seen == [v for v, before in zip(vectors, ["", *vectors], strict=False) if v != before]
    heads = json.loads(run(*asked, "--format", "unisith-json").stdout)
    told = [
        v for layer in heads.values() for head in layer.values() for v in head["singular_vectors"]
    ]
    assert len(told) == len(set(vectors))


def test_a_sorted_table_has_twenty_vectors_and_says_so(run: Run, files: dict[str, Path]) -> None:
    result = run("explain", files["codes"], "--sort", "sigma")
    assert len(re.findall(r"^ *\d\.\d\.\d+", result.stdout, re.MULTILINE)) == 20
    assert "16 of 36 vectors are not shown: --top 36 shows all" in result.stderr


def test_two_explanations_side_by_side(run: Run, files: dict[str, Path]) -> None:
    asked = ("explain", files["codes"], "--beside", files["left"], "--layer", 4)
    document = json.loads(run(*asked, "--format", "json").stdout)
    assert [side["parameters"]["side"] for side in document["sides"]] == ["right", "left"]
    assert len(document["pairs"]) == 3 * 6 * 2
    for k, name in enumerate(("codes", "left")):
        alone = run("explain", files[name], "--layer", 4, "--format", "jsonl").stdout.splitlines()
        assert [pair["explanations"][k] for pair in document["pairs"]] == [*map(json.loads, alone)]
    again = run(*asked, "--format", "json")
    assert again.stdout == run(*asked, "--format", "json").stdout


@pytest.mark.parametrize("width", [50, 80, 120])
def test_sides_are_stacked_where_it_is_narrow(
    run: Run, files: dict[str, Path], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    asked = ("explain", files["codes"], "--beside", files["left"], "--layer", 4, "--head", 0)
    text = run(*asked, "--sv", 0).stdout
    assert max(map(len, text.splitlines())) <= width
    heads = [
        next(i for i, t in enumerate(text.splitlines()) if n in t) for n in ("1 codes", "2 left")
    ]
    assert (heads[0] == heads[1]) == (width > 70)
    words = " ".join(text.split())
    for name in ("side right", "side left", "made · layer 4 · head 0"):
        assert name in words
    for name in ("codes", "left"):
        alone = run("explain", files[name], "--layer", 4, "--head", 0, "--sv", 0, "--format", "csv")
        for row in csv.DictReader(io.StringIO(alone.stdout)):
            assert f"{float(row['coefficient'] or 0):.2f} {row['concept']}".split()[0] in words
            assert row["concept"].split()[0] in words


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("CODES --grep [", 2, "no regular expression"),
        ("CODES --sort name", 2, "name"),
        ("CODES --sort sigma --format html", 2, "--sort does not go with html"),
        ("CODES --beside LEFT --format csv", 2, "--format table or json"),
        ("CODES --sort sigma -o there.html", 2, "--sort does not go with html"),
        ("CODES --figure there.svg -o ./there.svg", 2, "--figure and -o are one file"),
        ("CODES --beside LEFT --thumbnails t", 2, "leave out --thumbnails"),
        ("- --beside -", 2, "standard input is both"),
        ("CODES --beside missing.h5", 3, "missing.h5: check the path"),
        ("CODES --beside APART", 3, "no layer in common: those have 5, these 3, 4"),
        ("CODES --beside SIGMA", 3, "codes of other vectors: σ of layer 3 differ"),
        ("MINE --beside EDITED", 3, "codes of another model (edited, not made)"),
        ("CODES --beside LEFT --layer 9", 3, "no layer 9"),
    ],
)
def test_errors_are_one_line(
    run: Run, files: dict[str, Path], words: str, code: int, said: str
) -> None:
    known = {name.upper(): path for name, path in files.items()}
    result = run("explain", *(known.get(word, word) for word in words.split()))
    assert result.exit_code == code
    if said != "name":  # Typer's own, which `main` puts on one line
        assert said in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("asked", ["explain CODES --layer 4", "find star CODES"])
def test_a_suffix_says_the_format(
    run: Run, files: dict[str, Path], asked: str, tmp_path: Path
) -> None:
    words = [files["codes"] if word == "CODES" else word for word in asked.split()]
    for suffix, format_ in SUFFIXES.items():
        out = tmp_path / f"out{suffix}"
        result = run(*words, "-o", out)
        if (words[0], format_) == ("find", "html"):
            assert result.exit_code == 2
            assert "no html here" in result.stderr
            continue
        assert out.read_text() == run(*words, "--format", format_).stdout
    told = tmp_path / "told.json"
    run(*words, "-o", told, "--format", "csv")
    assert told.read_text() == run(*words, "--format", "csv").stdout
    run(*words, "-o", tmp_path / "t.txt")
    run(*words, "-o", tmp_path / "t2.json", "--format", "table")
    assert (tmp_path / "t.txt").read_text() == (tmp_path / "t2.json").read_text()


def test_a_table_of_two_says_what_it_leaves_out(
    run: Run, files: dict[str, Path], tmp_path: Path
) -> None:
    both = ("explain", files["codes"], "--beside", files["left"])
    assert "4 of 6 vectors are not shown: --top 6 shows all" in run(*both).stderr
    assert "1 of 6 vectors are not shown" in run(*both, "--layer", 4, "--head", 1).stderr
    assert "16 of 36 vectors are not shown" in run(*both, "--sort", "sigma").stderr
    assert "not shown" not in run(*both, "--sort", "sigma", "--top", 3).stderr
    assert "not shown" not in run(*both, "--grep", "star").stderr
    for asked in (both, both[:2]):
        filed = run(*asked, "-o", tmp_path / f"{len(asked)}.txt")
        assert filed.stderr == "4 of 6 vectors are not shown: --top 6 shows all\n"
        assert filed.stdout == ""


def test_nothing_matches(run: Run, files: dict[str, Path]) -> None:
    result = run("explain", files["codes"], "--grep", "violet")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "no explanation matches violet\n"
