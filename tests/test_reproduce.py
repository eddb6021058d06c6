"""The paper's experiments, in their short form, by the command that users run."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from sithctl.evaluation.charts import Chart, Series
from sithctl.evaluation.experiments import EXPERIMENTS
from sithctl.evaluation.lab import Lab
from sithctl.evaluation.reproduction import Claim, Reproduction
from sithctl.views.console import output
from sithctl.views.figures import COLOURS, as_svg


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``reproduce all --short`` writes; the seed is not one that anything was chosen on."""
    from typer.testing import CliRunner

    from sithctl.commands.app import app

    folder = tmp_path_factory.mktemp("reproduced")
    result = CliRunner().invoke(
        app, ["reproduce", "all", "--short", "--seed", "3", "-o", str(folder)]
    )
    (folder / "exit-code").write_text(str(result.exit_code))
    (folder / "stdout").write_text(result.stdout)
    (folder / "stderr").write_text(result.stderr)
    return folder


def document(results: Path, name: str) -> dict[str, Any]:
    path = results / f"{name}.json"
    assert path.exists(), (results / "stderr").read_text()[-2000:]
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_tells_all_that_it_should(results: Path, name: str) -> None:
    found = document(results, name)
    assert found["experiment"] == name
    assert found["paper"]
    assert found["measured"]
    assert found["control"]
    assert all(line.startswith(("sithctl ", "python -m ", "printf ")) for line in found["commands"])
    required = [claim for claim in found["claims"] if claim["required"]]
    assert [claim["what"] for claim in required if not claim["holds"]] == []
    assert (results / "exit-code").read_text() == "0"


def test_suppressing_scenes_helps_the_worst_group(results: Path) -> None:
    found = document(results, "spurious")
    base, edited = found["measured"]["base"], found["measured"]["edited"]
    assert set(base["groups"]) == {"star × night", "star × forest", "ring × night", "ring × forest"}
    assert base["worst_group"] == min(base["groups"].values())
    assert edited["worst_group"] > base["worst_group"] + 0.10
    assert edited["overall"] > base["overall"]
    for control in (found["control"]["whole_heads"], *found["control"]["random"]):
        assert control["worst_group"] < edited["worst_group"] - 0.05


def test_danger_leaves_retrieval_and_safe_recall_stays(results: Path) -> None:
    found = document(results, "unsafe")
    base, edited = found["measured"]["base"], found["measured"]["edited"]
    assert edited["T*→V∪V*"]["safe first"] > base["T*→V∪V*"]["safe first"] + 0.5
    assert edited["T→V"]["recall@1"] > base["T→V"]["recall@1"] - 0.02
    # The price, which must not be hidden: "safe" then finds what is dangerous.
    assert edited["T→V∪V*"]["safe first"] < base["T→V∪V*"]["safe first"] - 0.3


def test_pictures_show_what_explanations_say(results: Path) -> None:
    found = document(results, "grounding")["measured"]
    assert found["all"]["shown"]["low"] > 2 * found["all"]["chance"]["high"]
    assert found["clear"]["shown"]["mean"] > found["all"]["shown"]["mean"]


def test_what_changed_names_the_task(results: Path) -> None:
    rows = document(results, "adaptation")["measured"]["rows"]
    assert {row["way"] for row in rows} == {"whole", "lora"}
    for row in rows:
        assert row["rose_most"] == row["factor"]
        assert row["difference"]["low"] > row["base"]["high"]


def test_fidelity_and_coherence_are_a_trade(results: Path) -> None:
    rows = document(results, "fidelity")["measured"]["rows"]
    at = {row["method"]: row for row in rows if row["sparsity"] == 5}
    assert at["top-k"]["fidelity"] < at["COMP, λ 0.3"]["fidelity"] < at["NNOMP"]["fidelity"]
    assert at["top-k"]["coherence"] > at["COMP, λ 0.3"]["coherence"] > at["NNOMP"]["coherence"]
    for row in rows:
        assert 0 < row["random"] < row["fidelity"] < 1


def test_figures_are_pictures(results: Path) -> None:
    names = {path.stem for path in results.glob("*.svg")}
    assert names == {figure for figures in EXPERIMENTS.values() for figure in figures}
    assert {"fidelity", "trade-off", "pool-size", "spurious", "unsafe", "reconstruction"} <= names
    for path in results.glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")


def test_equal_figures_have_equal_bytes_and_their_text_is_text() -> None:
    series = (Series("a < b & $x$", (0.1, 0.4), (1.0, 2.0), (0.0, 0.3), (0.2, 0.5)),)
    chart = Chart("one", "title $5", "K", "fidelity", series)
    assert as_svg(chart) == as_svg(chart)
    assert "title $5" in as_svg(chart)
    bars = Chart("two", "bars", "", "share", (Series("s", (0.1, 0.9)),), ("left", "right"))
    assert "right" in as_svg(bars)


def test_a_line_is_run_once_and_remembered_by_each_experiment(tmp_path: Path) -> None:
    calls: list[list[str]] = []

    def call(words: Any) -> str:
        calls.append(list(words))
        return '{"a": 1}'

    lab = Lab(tmp_path, call, lambda path: pytest.fail("no codes are read"))
    assert lab.measure('sithctl eval x --data "two words"') == {"a": 1}
    lab.commands.clear()
    lab.measure('sithctl eval x --data "two words"')
    assert calls == [["sithctl", "eval", "x", "--data", "two words", "--format", "json"]]
    assert lab.commands == ['sithctl eval x --data "two words" --format json']


def test_what_does_not_hold_ends_with_4(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(name: str, lab: Lab) -> Reproduction:
        claims = (Claim("the sky is green", False), Claim("nor this", False, required=False))
        return Reproduction(name, {}, {}, {}, (), claims, ())

    monkeypatch.setattr("sithctl.evaluation.experiments.reproduce", failing)
    result = run("reproduce", "spurious")
    assert result.exit_code == 4
    assert "the sky is green" in result.stderr
    assert "nor this" not in result.stderr


@pytest.mark.parametrize("file", ["unsafe.json", "trade-off.svg"])
def test_results_are_not_overwritten(run: Any, tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text("mine")
    result = run("reproduce", "all", "-o", str(tmp_path))
    assert result.exit_code == 3
    assert file in result.stderr
    assert "$ " not in result.stderr  # before any work
    assert (tmp_path / file).read_text() == "mine"


@pytest.mark.parametrize("option", ["--work", "-o"])
def test_a_folder_that_is_a_file_is_refused(run: Any, tmp_path: Path, option: str) -> None:
    (tmp_path / "file").write_text("mine")
    result = run("reproduce", "unsafe", option, str(tmp_path / "file"))
    assert result.exit_code == 3
    assert "not a folder" in result.stderr


def test_nobodys_files_are_in_the_way(run: Any, tmp_path: Path) -> None:
    (tmp_path / "shapes.txt").write_text("mine")
    result = run("reproduce", "spurious", "--work", str(tmp_path))
    assert result.exit_code == 3
    assert (tmp_path / "shapes.txt").read_text() == "mine"


def test_commands_are_told_on_one_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken in two, a line that is copied is two commands."""
    monkeypatch.setenv("COLUMNS", "40")
    line = "sithctl " + " ".join(f"--option {i}" for i in range(20))
    output.told(line)
    assert capsys.readouterr().err == f"$ {line}\n"


def test_an_interrupted_command_interrupts_the_experiment(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sithctl.commands.reproduce._ours", lambda words: 130)
    assert run("reproduce", "unsafe").exit_code == 130


def test_a_stated_level_has_the_colour_of_its_curve() -> None:
    """Three grey lines could not be told apart."""
    names = ("colour", "shape")
    curves = [Series(name, (0.1 * i, 0.4), (1.0, 2.0)) for i, name in enumerate(names)]
    levels = [Series(f"{name}, as it is", (0.9, 0.9), (1.0, 2.0)) for name in names]
    dashed = tuple(level.name for level in levels)
    text = as_svg(Chart("one", "t", "K", "y", (*curves, *levels), dashed=dashed))
    lines = [line for line in text.splitlines() if "stroke-dasharray" in line and "#" in line]
    assert {c for c in COLOURS if any(c in line for line in lines)} == set(COLOURS[:2])
