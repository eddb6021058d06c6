"""Plans as files, plans refused, and deltas put on and taken off."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from conftest import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from sithctl import Change, Plan, edit
from sithctl.artifacts.plans import read_plan, write_plan
from sithctl.errors import InputError, UsageError
from sithctl.kinds import Identity
from sithctl.models import open_model
from sithctl.stages.planning import by_hand, by_scores, parse_map

PLACES = st.tuples(*[st.integers(0, 99)] * 3)
SCALES = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.dictionaries(PLACES, st.tuples(SCALES, st.text()), min_size=1, max_size=4)
NAMES = st.none() | st.builds(
    Identity,
    st.none() | st.text(),
    st.none() | st.text(),
    st.dictionaries(st.integers(0, 99), st.text(), max_size=3),
)


@pytest.mark.parametrize("ending", ["csv", "toml"])
def test_a_plan_reads_back_as_it_was(ending: str, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("plans") / f"plan.{ending}"

    @settings(max_examples=60)
    @given(ROWS, NAMES)
    def check(rows, model) -> None:
        changes = [Change(*place, scale, why) for place, (scale, why) in rows.items()]
        plan = Plan.of(changes, model)
        write_plan(plan, path)
        assert read_plan(path) == plan

    check()


@pytest.mark.parametrize("why", ["a\nb", "# x", "a\r\nb", "\x0c", "\u2028", '"', "\x00", "é,;"])
@pytest.mark.parametrize("ending", ["csv", "toml"])
def test_odd_reasons(why: str, ending: str, tmp_path: Path) -> None:
    plan = Plan.of([Change(0, 1, 2, 0.1 + 0.2, why)])
    write_plan(plan, tmp_path / f"plan.{ending}")
    assert read_plan(tmp_path / f"plan.{ending}") == plan


def test_a_plan_that_went_through_a_spreadsheet(tmp_path: Path) -> None:
    import csv

    plan = Plan.of([Change(0, 1, 2, 0.5, "sea")], Identity("m", "s", {0: "aa", 1: "bb"}))
    write_plan(plan, tmp_path / "plan.csv")
    rows = list(csv.reader((tmp_path / "plan.csv").read_text().splitlines()))
    with (tmp_path / "plan.csv").open("w", newline="", encoding="utf-8-sig") as file:
        width = max(map(len, rows))
        csv.writer(file).writerows(row + [""] * (width - len(row)) for row in rows)
    assert read_plan(tmp_path / "plan.csv") == plan


HEAD = "layer,head,sv,scale,why\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layer,head,sv\n0,0,0\n", "no column scale"),
        ("", "no column layer"),
        (HEAD, "without rows"),
        (HEAD + "0,0,0,1\n0,0,0,2\n", "0.0.0 stands there twice"),
        (HEAD + "0,x,0,1\n", "row 1 is no change"),
        (HEAD + "0,0\n", "row 1 is no change"),
        (HEAD + "0,0,0,nan\n", "factor nan"),
        (HEAD + "0,0,0,inf\n", "factor inf"),
        (HEAD + "99,0,0,1\n", "no layer 99"),
        (HEAD + "0,9,0,1\n", "no head 9"),
        (HEAD + "0,0,99,1\n", "no singular vector 99"),
        (HEAD + "0,-1,0,1\n", "no head -1"),
        (HEAD + '0,0,0,1,"open\n', "not CSV"),
        ("# sithctl plan {\n" + HEAD + "0,0,0,1\n", "names the model is damaged"),
        (HEAD + "0,0,0,1e300\n", "more than float32 can hold"),
    ],
)
def test_bad_plans(text: str, words: str, tiny_clip: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "plan.csv").write_text(text)
    result = run("edit", tiny_clip, "--plan", tmp_path / "plan.csv", "-o", tmp_path / "out")
    assert result.exit_code == 3, result.output
    assert len(result.stderr.strip().splitlines()) == 1 + (words == "more than float32 can hold")
    assert words in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["plan.csv"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[change]\n", "not TOML"),
        ("change = 3\n", "no [[change]] tables"),
        ("[[change]]\nlayer=1.5\nhead=0\nsv=0\nscale=1\n", "row 1 is no change"),
        ("[[change]]\nlayer=1\nhead=0\nsv=true\nscale=1\n", "row 1 is no change"),
        ("model = 3\n[[change]]\nlayer=1\nhead=0\nsv=0\nscale=1\n", "[model] table is damaged"),
    ],
)
def test_bad_toml(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_plan(tmp_path / "plan.toml")
    assert words in str(caught.value)


def test_plans_that_are_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "plan.csv").write_bytes(HEAD.encode() + b"0,0,0,1,gr\xfcn\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read_plan(tmp_path / "plan.csv")


@pytest.mark.parametrize("ending", ["csv", "toml"])
def test_a_saved_plan_gives_the_same_bytes(ending, tiny_clip, run: Run, tmp_path: Path) -> None:
    plan = tmp_path / f"plan.{ending}"
    sets = ("--set", "0-1.*.0-2=0.1234567890123456", "--set", "-1.0.-1=-1")
    made = run("edit", tiny_clip, *sets, "--save-plan", plan, "-o", tmp_path / "one")
    assert made.exit_code == 0, made.output
    again = run("edit", tiny_clip, "--plan", plan, "-o", tmp_path / "two")
    assert again.exit_code == 0, again.output
    assert "not checked" not in again.stderr
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_plan_is_of_one_model(tiny_clip, tiny_open_clip, run: Run, tmp_path: Path) -> None:
    plan = tmp_path / "plan.csv"
    assert run("edit", tiny_clip, "--set", "0.0.0=0", "--save-plan", plan).exit_code == 0
    result = run("edit", tiny_open_clip, "--plan", plan, "-o", tmp_path / "out")
    assert result.exit_code == 3
    assert "other weights (layer 0 of tiny-clip)" in result.stderr
    plan.write_text(plan.read_text() + "1,0,0,0,by me\n")
    assert run("edit", tiny_clip, "--plan", plan, "--dry-run").exit_code == 0
    plan.write_text("\n".join(plan.read_text().splitlines()[1:]))
    result = run("edit", tiny_open_clip, "--plan", plan, "--dry-run")
    assert result.exit_code == 0
    assert "not checked" in result.stderr


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_deltas_come_off_to_the_byte(tiny_clip, run: Run, tmp_path: Path, dtype) -> None:
    source = tmp_path / "model"
    shutil.copytree(tiny_clip, source)
    (source / "README.md").write_text("---\nlicense: mit\n---\n\n# Mine\n")
    weights = source / "model.safetensors"
    tensors = load_file(weights).items()
    save_file({n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors}, weights)
    delta, one, two, three = (tmp_path / name for name in ("delta", "one", "two", "three"))
    sets = ("--set", "0.0.0=0", "--set", "2-3.1.*=-0.5")
    assert run("edit", source, *sets, "--delta", delta, "-o", one).exit_code == 0
    result = run("edit", source, "--apply", delta, "-o", two)
    assert result.exit_code == 0, result.output
    assert (two / weights.name).read_bytes() == (one / weights.name).read_bytes()
    assert "by hand" in (two / "README.md").read_text()
    result = run("edit", two, "--undo", delta, "-o", three)
    assert result.exit_code == 0, result.output
    assert {p.name for p in three.iterdir()} == {p.name for p in source.iterdir()}
    for path in source.iterdir():
        if path.name != "README.md":
            assert (three / path.name).read_bytes() == path.read_bytes()
    assert "edited" not in (three / "README.md").read_text()
    for model, way in ((two, "--apply"), (source, "--undo")):
        result = run("edit", model, way, delta, "-o", tmp_path / "wrong")
        assert result.exit_code == 3
        assert "the delta cannot be" in result.stderr
        assert not (tmp_path / "wrong").exists()


def test_a_delta_is_of_one_model(tiny_clip, tiny_open_clip, run: Run, tmp_path: Path) -> None:
    delta = tmp_path / "delta"
    assert run("edit", tiny_clip, "--set", "0.0.0=0", "--delta", delta).exit_code == 0
    result = run("edit", tiny_open_clip, "--apply", delta, "-o", tmp_path / "out")
    assert result.exit_code == 3
    assert "made for tiny-clip" in result.stderr
    for option in ("--dry-run", "--save-plan=p", "--delta=d"):
        result = run("edit", tiny_clip, "--apply", delta, option, "-o", tmp_path / "out")
        assert result.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["delta"]


def test_by_hand_and_by_scores() -> None:
    found = by_hand("-1.*.2-3=-.5", (3, 2, 4), "m")
    assert [c.place for c in found] == [(2, 0, 2), (2, 0, 3), (2, 1, 2), (2, 1, 3)]
    for text in ("5.2.0", "5.2=0", "a.b.c=0", "0.0.0="):
        with pytest.raises(UsageError):
            by_hand(text, (6, 4, 4), "m")
    for text in ("", "3", "3=x", "5-3=0", "0=1", "1-99999999999=0"):
        with pytest.raises(UsageError):
            parse_map(text)
    with pytest.raises(InputError, match="no vector has a score of 4"):
        by_scores([], {4: 0.0})


def test_edits_are_functions_too(tiny_clip: Path) -> None:
    made = edit(open_model(str(tiny_clip)), Plan.of([Change(0, 0, 0, 0.0)]))
    assert set(made.changed) == set(made.replaced)
    with pytest.raises(InputError, match="nothing to change"):
        edit(str(tiny_clip), Plan(()))
