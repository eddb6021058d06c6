"""The manual: pages are up to date, clean roff, and say what files really hold."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run

from sithctl.artifacts.containers import read, shapes
from sithctl.commands import manual
from sithctl.commands.manual import examples, files
from sithctl.commands.manual.shell import run as line_run

PAGES = sorted((manual.ROOT / "man").glob("*.[157]"))
CHECKS = {  # what must be installed: what is run
    "mandb": "for p in {}; do man --warnings --encoding UTF-8 -l $p; done >/dev/null",
    "groff": "groff -man -ww -z -Tutf8 -Kutf8 {}",
    # No page has a date: it would be another whenever the page is written.
    "mandoc": "mandoc -K utf-8 -T lint -W warning {} | grep -v 'missing date' >&2; true",
}


def test_manual_and_completions_are_up_to_date() -> None:
    assert manual.drifted() == []


@pytest.mark.parametrize("program", CHECKS)
def test_no_page_has_a_warning(program: str, shell) -> None:
    if not shutil.which(program):
        pytest.skip(f"no {program} on this machine")
    result = shell("export LC_ALL=C.UTF-8; " + CHECKS[program].format(" ".join(map(str, PAGES))))
    assert result.returncode == 0
    assert result.stderr == b""


@pytest.mark.parametrize("program", CHECKS)
def test_a_bad_page_would_be_found(program: str, shell, tmp_path: Path) -> None:
    if not shutil.which(program):
        pytest.skip(f"no {program} on this machine")
    bad = tmp_path / "bad.1"
    bad.write_text('.TH BAD 1 "" "" ""\n.SH NAME\nbad \\- x\n.nonsense\n\\*[undefined]\n')
    assert shell("export LC_ALL=C.UTF-8; " + CHECKS[program].format(bad)).stderr


def test_every_reference_has_a_page() -> None:
    known = {path.name for path in PAGES}
    for path in PAGES:
        for title, section in re.findall(r"^\.BR (\S+) \((\d)\)", path.read_text(), re.MULTILINE):
            assert f"{title}.{section}".replace("\\-", "-") in known, path


def test_every_example_prints_what_its_page_shows() -> None:
    """In a process of its own: it forks, and nothing may have been computed before."""
    words = [sys.executable, "-m", "sithctl.commands.manual", "--examples"]
    environment = {**os.environ, "COLUMNS": "200", "SITHCTL_MODEL": "none"}  # changes nothing
    result = subprocess.run(words, capture_output=True, env=environment, timeout=400, check=False)
    assert result.stderr == b""
    assert result.returncode == 0


def test_every_page_of_a_command_shows_output() -> None:
    for path in PAGES:
        text = path.read_text()
        if path.suffix == ".1" and path.name != "sithctl-eval.1":
            shown = text.partition(".SH EXAMPLE")[2].partition(".SH")[0]
            assert "\n$ " in shown, path
            assert len(shown.splitlines()) > 6, path


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("$ a\nred 0.50 ring\n1 2\n", True),
        ("$ a\nred 0.51 ring\n1 2\n", True),
        ("$ a\nred 0.61 ring\n1 2\n", False),
        ("$ a\nblue 0.50 ring\n1 2\n", False),
        ("$ a\nred 0.50 ring\n", False),
        ("$ a\nred ring\n1 2\n", False),
    ],
)
def test_transcripts_are_alike_to_a_rounding(other: str, same: bool) -> None:
    assert examples.alike("$ a\nred 0.50 ring\n1 2\n", other) is same


def test_an_example_that_fails_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_text("red\n")
    (tmp_path / "c.txt").write_text("blue\n")
    assert line_run("cat *.txt | sort -r", tmp_path) == "red\nblue\n"
    with pytest.raises(RuntimeError, match="no-such-file"):
        line_run("cat no-such-file | sort", tmp_path)


def test_the_page_of_files_says_what_files_hold(run: Run, tmp_path: Path) -> None:
    """Every array of real files is told of, with its type, and every entry of their documents."""
    told = {column: text for kind in files.KINDS for column, _, text in files.columns(kind)}
    types = {name: sort for kind in files.KINDS for name, sort, _ in files.columns(kind)}
    made = _chain(run, tmp_path)
    assert {read(path, "", only_document=True)[0]["kind"] for path in made} == set(files.KINDS)
    for path in made:
        document, _ = read(path, str(path), only_document=True)
        for name, shape in shapes(path).items():
            if name.startswith("readout"):
                continue
            known = re.sub(r"\b\d+\b", "L", re.sub(r"^(changed|replaced)/.*", r"\1/TENSOR", name))
            assert known in told, (path, name)
            sort = {"F32": "float32", "text": "UTF-8"}.get(shape.split()[0], shape.split()[0])
            assert types[known] in {sort, "JSON", "the checkpoint's own type"}, (path, name)
        everywhere = {"kind", "schema", "model", "history", "digest"}
        assert everywhere | set(files.entries(document["kind"])) == set(document)


def _chain(run: Run, folder: Path) -> list[Path]:
    """A file of every kind."""
    (folder / "words.txt").write_text("red\nring\nocean\nsnow\nstriped\n")
    heads, spectra, pool, mean, codes, graded, delta = (
        folder / f"{name}.{'safetensors' if name in {'heads', 'spectra', 'delta'} else 'h5'}"
        for name in ("heads", "spectra", "pool", "mean", "codes", "graded", "delta")
    )
    few = ("--repeats", 2, "--samples", 20, "--report", folder / "report.txt")
    commands = (
        ("fold", "scenes", "--layers", 5, "-o", heads),
        ("svd", heads, "--rank", 2, "-o", spectra),
        ("encode-pool", "scenes", "--limit", 100, "-o", pool),
        ("mean", "scenes", "--limit", 20, "-o", mean),
        ("decompose", spectra, "--pool", pool, "--mean", mean, "-o", codes),
        ("eval", "trust", codes, "--spectra", spectra, "--pool", pool, *few, "-o", graded),
        ("edit", "scenes", "--set", "5.0.0=0", "--delta", delta),
    )
    for words in commands:
        assert run(*words).exit_code == 0, words
    return [heads, spectra, pool, mean, codes, graded, delta]
