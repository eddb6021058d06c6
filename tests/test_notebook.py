"""What stages give, as a notebook's user sees it: views, lines, data frames, files, types."""

from __future__ import annotations

import csv
import inspect
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import Any, get_overloads

import numpy as np
import pytest
from rich.console import Console

import sithctl
from sithctl import Change, Codes, Explanations, Matches, Plan, load, save
from sithctl.errors import InputError, SithctlError, UsageError
from sithctl.evaluation.grading import grade
from sithctl.evaluation.tasks import TASKS, evaluate
from sithctl.kinds import Identity, Mean
from sithctl.stages.explain import explain
from sithctl.views import records
from sithctl.views.found import as_csv as csv_of_matches
from sithctl.views.found import table, title
from sithctl.views.info import describe
from sithctl.views.notebook import FOLDED, WIDTH
from sithctl.views.terminal import tables

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e"
WORDS = ["crimson", "azure", "hoop", "striped thing", "ocean", HOSTILE]


@pytest.fixture(scope="module")
def things() -> dict[str, Any]:
    """One of everything that a stage gives."""
    heads = sithctl.fold("scenes", "4-5")
    spectra = sithctl.svd(heads, rank=6)
    pool = sithctl.encode_pool(WORDS, factors=[{"colour": "red"}, *({} for _ in WORDS[1:])])
    codes = sithctl.decompose(spectra, pool, options=sithctl.Options(sparsity=3))
    rows = sithctl.explain(codes, layer=5, head=0)
    plan = Plan.of([Change(5, 0, 0, 0.0, HOSTILE), Change(4, 1, 2, 0.5)])
    edited = sithctl.edit("scenes", plan)
    return {
        "heads": heads,
        "spectra": spectra,
        "pool": pool,
        "mean": Mean(Identity("m"), (), np.array([3.0, 0.0, 4.0]), 10),
        "codes": codes,
        "explanations": rows,
        "matches": sithctl.find(codes, "ocean, alert", layer=5),
        "plan": plan,
        "edit": edited,
        "delta": edited.delta,
        "evaluation": sithctl.evaluate("coherence", codes, draws=1),
        "judgement": sithctl.judge(rows, "Is it wet?", lambda prompt: f"5 {HOSTILE}"),
    }


def text_of(html: str) -> str:
    """What a browser shows of it."""
    return unescape(re.sub(r"<[^>]*>", "", html))


def printed(renderable: Any, width: int = WIDTH) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_notebook_shows_what_the_terminal_shows(things: dict[str, Any]) -> None:
    """Explanations and figures to the character, artefacts with what ``info`` says of them."""
    rows = things["explanations"]
    assert printed(tables(rows, "scenes", WIDTH)) in text_of(rows._repr_html_())
    matches = things["matches"][:5]
    titled = title("scenes", ["ocean", "alert"], 5)
    assert printed(table(matches, titled, WIDTH)) in text_of(matches._repr_html_())
    from sithctl.views.edit import preview
    from sithctl.views.evaluation import plain_text

    found = [line.rstrip() for line in text_of(things["evaluation"]._repr_html_()).splitlines()]
    assert found == plain_text(things["evaluation"]).splitlines()
    edited = things["edit"]
    assert printed(preview(edited, "scenes", None)) == text_of(edited._repr_html_())
    for kind in ("heads", "spectra", "pool", "mean", "codes"):
        document = {**things[kind].document(), "digest": things[kind].digest}
        assert printed(describe(document), FOLDED) in text_of(things[kind]._repr_html_()), kind


def test_labels_stay_text(things: dict[str, Any]) -> None:
    for name, thing in things.items():
        html, line = thing._repr_html_(), repr(thing)
        assert "<script" not in html, name
        for text in (html, line):
            assert not set(text) & {"\x1b", "\u202e"}, name
    for name in ("pool", "codes", "explanations", "matches", "plan", "delta", "edit", "judgement"):
        html = things[name]._repr_html_()
        assert "&lt;script" in html, name


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_colours_are_legible_on_light_and_on_dark(things: dict[str, Any]) -> None:
    """WCAG's contrast, with the pages of JupyterLab and VS Code; no background of its own."""
    html = "".join(thing._repr_html_() for thing in things.values())
    colours = set(re.findall(r"[; \"]color: (#\w{6})", html))
    assert len(colours) >= 3
    assert "background-color" not in html
    for colour in colours:
        for page in ("#ffffff", "#111111", "#1e1e1e"):
            low, high = sorted((luminance(colour), luminance(page)))
            assert (high + 0.05) / (low + 0.05) > 3.8, (colour, page)


def test_lines_are_short(things: dict[str, Any]) -> None:
    inner = [
        *things["codes"].layers.values(),
        *things["heads"].layers.values(),
        *things["spectra"].layers.values(),
        *things["edit"].layers.values(),
        things["codes"].concepts,
        things["codes"].readout,
    ]
    for thing in [*things.values(), *inner]:
        line = repr(thing)
        assert len(line) < 1500, line
        assert "array(" not in line
        assert "tensor(" not in line
        assert "\n" not in line or isinstance(thing, Explanations | Matches)
    assert repr(things["codes"]) == (
        "Codes(scenes: layers 4-5, 192 explanations of right vectors, "
        "comp with 3 of 6 concepts at most)"
    )


def test_explanations_are_a_sequence(things: dict[str, Any]) -> None:
    rows = things["explanations"]
    assert list(rows[2:4]) == list(rows)[2:4]
    assert isinstance(rows[2:4], Explanations)
    assert rows[-1] == list(rows)[-1]
    assert rows[3] in rows
    assert [e.pole for e in rows] == ["+", "-"] * (len(rows) // 2)
    assert explain(things["codes"], layer=5, head=0) == rows
    assert "no explanations" in text_of(rows[:0]._repr_html_())


def test_matches_are_a_sequence_and_a_frame(things: dict[str, Any]) -> None:
    found = things["matches"]
    assert len(found) > 10
    assert {m.phrase for m in found} == {"ocean", "alert"}
    assert isinstance(found[2:4], Matches)
    assert list(found[2:4]) == list(found)[2:4]
    assert f"and {len(found) - 10} more" in repr(found)
    assert found == sithctl.find(things["codes"], ["ocean", "alert", "Ocean"], layer=5)
    frame = found.to_pandas()
    lines = list(csv.DictReader(io.StringIO(csv_of_matches(found))))
    assert list(frame.columns) == list(lines[0])
    assert frame["weight"].to_list() == [float(line["weight"]) for line in lines]
    assert frame["matching"].to_list() == [line["matching"] for line in lines]
    nothing = sithctl.find(things["codes"], "nobody says this")
    assert "0 explanations" in text_of(nothing._repr_html_())
    for words in ("", " , ", [], ["!"]):
        with pytest.raises(UsageError, match="no word to look for"):
            sithctl.find(things["codes"], words)


def test_what_is_not_shown_is_told(things: dict[str, Any]) -> None:
    every = explain(things["codes"])
    assert f"and {len(every) - 40} more: .to_pandas() has all" in text_of(every._repr_html_())
    many = replace(
        things["pool"], concepts=["a"] * 300, factors=None, embeddings=np.ones((300, 4), "f4")
    )
    assert "and 280 more" in text_of(many._repr_html_())


def test_explanations_as_a_frame_are_those_of_csv(things: dict[str, Any]) -> None:
    for rows in (things["explanations"], explain(things["codes"])):
        found = list(csv.DictReader(io.StringIO(records.as_csv(rows))))
        frame = rows.to_pandas()
        assert list(frame.columns) == list(found[0])
        assert len(frame) == len(found)
        for record, line in zip(frame.to_dict("records"), found, strict=True):
            assert record["concept"] == line["concept"]
            assert record["coefficient"] == float(line["coefficient"])
            assert record["degenerate"] == (line["degenerate"] == "1")
    assert things["codes"].to_pandas().equals(explain(things["codes"]).to_pandas())


def test_frames_hold_what_the_arrays_hold(things: dict[str, Any]) -> None:
    """Beside numpy's own decomposition of the matrices that are never formed."""
    heads, spectra = things["heads"].to_pandas(), things["spectra"].to_pandas()
    assert len(heads) == 2 * 8
    assert len(spectra) == 2 * 8 * 16
    for layer, factors in things["heads"].layers.items():
        for head in (0, 5):
            whole = factors.value[head].astype("f8") @ factors.output[head].astype("f8")
            here = heads[(heads["layer"] == layer) & (heads["head"] == head)]
            assert here["norm"].item() == pytest.approx(np.linalg.norm(whole), rel=1e-6)
            sigma = np.linalg.svd(whole, compute_uv=False)[:16]
            rows = spectra[(spectra["layer"] == layer) & (spectra["head"] == head)]
            assert rows["singular_value"].to_numpy() == pytest.approx(sigma, rel=1e-4)
            assert rows["energy"].to_numpy() == pytest.approx(sigma**2 / sum(sigma**2), rel=1e-3)
    pool = things["pool"].to_pandas()
    assert list(pool["concept"]) == WORDS
    assert pool["colour"].dropna().to_dict() == {0: "red"}
    assert things["mean"].to_pandas()["mean"].to_list() == pytest.approx([0.3, 0.0, 0.4])


def test_frames_of_edits_and_figures(things: dict[str, Any]) -> None:
    plan = things["plan"].to_pandas()
    assert plan[["layer", "head", "sv", "scale"]].to_numpy().tolist() == [
        [4, 1, 2, 0.5],
        [5, 0, 0, 0.0],
    ]
    assert things["delta"].to_pandas().equals(plan)
    edited = things["edit"].to_pandas()
    assert edited["sigma_after"].to_list() == (edited["scale"] * edited["sigma"]).to_list()
    sigma = things["spectra"].layers[4].singular_values[1, 2]
    assert edited["sigma"][0] == pytest.approx(float(sigma), rel=1e-5)
    found = things["evaluation"]
    overall = found.to_pandas()
    for record, row in zip(found.table("overall").records, overall.iloc, strict=True):
        assert row["mean.low"] == record["mean"]["low"]
    assert len(found.to_pandas("heads")) == 16
    with pytest.raises(InputError, match=r"no table nothing.*one of overall, factors, heads"):
        found.to_pandas("nothing")
    assert (things["judgement"].to_pandas()["score"] == 5).all()


def test_without_pandas_it_says_so(things: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    for name in ("codes", "evaluation", "edit"):
        with pytest.raises(InputError, match=r"pandas, which is not installed: pip install pandas"):
            things[name].to_pandas()


def test_nothing_heavy_is_imported_for_it(things: dict[str, Any], tmp_path: Path) -> None:
    """Kinds import no view, and saved codes show themselves without torch."""
    save(things["codes"], tmp_path / "codes.h5")
    code = f"""
import sys
import sithctl, sithctl.kinds
heavy = {{"rich", "torch", "pandas", "sithctl.views", "sithctl.stages"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
codes = sithctl.load({str(tmp_path / "codes.h5")!r})
codes._repr_html_(), sithctl.explain(codes)._repr_html_(), codes.to_pandas()
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


def test_everything_is_loaded_as_it_was_saved(things: dict[str, Any], tmp_path: Path) -> None:
    for name in ("heads", "spectra", "pool", "mean", "codes", "delta"):
        save(things[name], tmp_path / name)
        found = load(tmp_path / name)
        assert type(found) is type(things[name])
        assert found.digest == things[name].digest
        assert {n: np.shape(a) for n, a in found.arrays().items()} == {
            n: np.shape(a) for n, a in things[name].arrays().items()
        }
    for suffix in ("csv", "toml"):
        save(things["edit"].plan, tmp_path / f"plan.{suffix}")
        assert load(tmp_path / f"plan.{suffix}") == things["plan"]
    save(things["plan"], tmp_path / "plan")
    assert load(tmp_path / "plan", Plan) == things["plan"]


def test_what_cannot_be_loaded_is_told_in_a_line(things: dict[str, Any], tmp_path: Path) -> None:
    save(things["mean"], tmp_path / "mean.h5")
    (tmp_path / "broken").write_bytes(b"nothing of ours")
    wrong: list[tuple[str, Callable[[], Any], str]] = [
        ("another kind", lambda: load(tmp_path / "mean.h5", Codes), "expected codes .*found mean"),
        ("missing", lambda: load(tmp_path / "none.h5"), "no such file"),
        ("broken", lambda: load(tmp_path / "broken"), "neither a whole safetensors"),
        ("a folder", lambda: load(tmp_path), "a folder where a file was expected"),
        ("no place", lambda: save(things["mean"], tmp_path / "no" / "mean.h5"), "cannot write|no"),
    ]
    for name, call, what in wrong:
        with pytest.raises(SithctlError, match=what) as caught:
            call()
        assert "\n" not in str(caught.value), name


def test_a_name_is_no_list_of_concepts_but_a_source_of_images(pictures: Path) -> None:
    for given in ("words.txt", Path("words.txt")):
        with pytest.raises(InputError, match=r"a text where a list of concepts.*splitlines"):
            sithctl.encode_pool(given)  # type: ignore[arg-type]
    by_name, by_path = sithctl.mean(str(pictures)), sithctl.mean(pictures)
    assert by_name.count > 0
    assert by_name.digest == by_path.digest
    with pytest.raises(InputError, match="no such folder"):
        sithctl.mean("no-such")


def test_what_a_stage_cannot_take_is_told_at_its_door(things: dict[str, Any]) -> None:
    heads, spectra, pool, codes = (things[n] for n in ("heads", "spectra", "pool", "codes"))
    stages: Any = sithctl
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: stages.svd("scenes"), "svd takes heads, from fold: not str"),
        (lambda: stages.svd(heads, minus="scenes"), "svd takes heads, from fold: not str"),
        (lambda: stages.decompose(heads, pool), "decompose takes spectra, from svd: not heads"),
        (lambda: stages.decompose(spectra, ["red"]), "decompose takes pool, from encode_pool"),
        (lambda: stages.decompose(spectra, pool, "pics"), "decompose takes mean, from mean"),
        (lambda: stages.find("red", codes), "find takes codes, from decompose: not str"),
        (lambda: stages.explain(spectra), "explain takes codes, from decompose: not spectra"),
    ]
    for call, what in wrong:
        with pytest.raises(InputError, match=what):
            call()


def test_overloads_of_evaluate_are_the_tasks_own_parameters() -> None:
    told = {}
    for overload in get_overloads(evaluate):
        first, *rest = inspect.signature(overload).parameters.values()
        told[first.annotation] = [(p.name, p.annotation) for p in rest]
    for task in TASKS:
        name = task.replace("-", "_")
        module = import_module(f"sithctl.evaluation.{name}")
        function = grade if task == "trust" else getattr(module, name)  # which hands its options on
        parameters = inspect.signature(function).parameters.values()
        found = told.pop(f"Literal[{task!r}]")
        assert found == [(p.name, p.annotation) for p in parameters], task
    assert not told


def test_public_stages_are_documented() -> None:
    stages = [getattr(sithctl, name) for name in sithctl.__all__ if name != "__version__"]
    functions = [stage for stage in stages if inspect.isfunction(stage)]
    assert len(functions) >= 12
    for function in functions:
        text = inspect.getdoc(function) or ""
        for part in ("Args:", "Raises:"):
            assert part in text, (function.__name__, part)
        if function.__name__ != "save":
            assert "Returns:" in text, function.__name__
            assert ">>> " in text, function.__name__
    assert set(sithctl.__all__) <= set(dir(sithctl))


SCRIPT = """\
from sithctl import (
    Change, Codes, Edit, Evaluation, Explanations, Options, Plan, decompose, edit, encode_pool,
    evaluate, explain, find, fold, load, save, svd,
)

pool = encode_pool(["crimson", "ocean"])
codes: Codes = decompose(svd(fold("scenes", "4-5")), pool, options=Options(sparsity=2))
save(codes, "codes.h5")
rows: Explanations = explain(load("codes.h5", Codes), layer=5, top=2)
labels: list[str] = [concept.concept for row in rows[:3] for concept in row.concepts]
frame = rows.to_pandas()
weights: list[float] = [match.weight for match in find(codes, "ocean")[:3]]
found: Evaluation = evaluate("coherence", codes, draws=1)
edited: Edit = edit("scenes", Plan.of(Change(e.layer, e.head, e.sv, 0.0) for e in rows))
save(edited.delta, "plan.delta")
"""
WRONG = """\
from sithctl import Codes, evaluate, explain, fold, load, svd

svd("scenes")
explain(load("codes.h5", Codes), layers=5)
number: int = explain(load("codes.h5", Codes))[0].pole
evaluate("coherence", load("codes.h5", Codes), drws=1)
fold("scenes").lairs
"""
LENIENT = "[mypy]\nstrict = true\n[mypy-torch.*,numpy.*,PIL.*,rich.*]\nfollow_imports = skip\n"


def test_a_users_types_are_checked(tmp_path: Path) -> None:
    """By the installed package's own annotations: what is right passes, each mistake is found."""
    (tmp_path / "right.py").write_text(SCRIPT)
    (tmp_path / "wrong.py").write_text(WRONG)
    (tmp_path / "mypy.ini").write_text(LENIENT)  # or it would check half of torch, too
    words = ["--config-file", "mypy.ini", "--cache-dir", "cache", "right.py", "wrong.py"]
    # Named, because an editable install is found by a hook that mypy does not run.
    where = {**os.environ, "MYPYPATH": str(Path(sithctl.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, "-m", "mypy", *words],
        cwd=tmp_path,
        env=where,
        capture_output=True,
        text=True,
    )
    lines = re.findall(r"^(\w+)\.py:(\d+): error", result.stdout, flags=re.MULTILINE)
    assert sorted(set(lines)) == [("wrong", str(n)) for n in range(3, 8)], (
        result.stdout + result.stderr
    )
