"""Every help text is snapshotted: ``UPDATE_SNAPSHOTS=1 pytest tests/test_help.py`` writes them."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from conftest import Run

from sithctl._version import __version__
from sithctl.commands import manual

SNAPSHOTS = Path(__file__).parent / "help"
COMMANDS = [
    "",
    "fold",
    "svd",
    "encode-pool",
    "mean",
    "decompose",
    "merge",
    "explain",
    "find",
    "edit",
    "judge",
    "eval",
    "eval fidelity",
    "eval coherence",
    "eval agreement",
    "eval trust",
    "eval effect",
    "eval zero-shot",
    "eval retrieval",
    "eval drift",
    "reproduce",
    "info",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_snapshotted(command: str, run: Run) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    text = "\n".join(line.rstrip() for line in result.stdout.splitlines()) + "\n"
    snapshot = SNAPSHOTS / f"{command.replace(' ', '-') or 'sithctl'}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(text)
    assert text == snapshot.read_text()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in {"", "eval"}])
def test_every_command_has_an_example(command: str, run: Run) -> None:
    text = " ".join(run(*command.split(), "--help").stdout.split())
    assert f"sithctl {command}" in text.partition("Example: ")[2]


@pytest.mark.parametrize("command", ["find", "judge"])
def test_paragraphs_are_broken_once(
    command: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the terminal's edge alone: where the next word would not have fitted."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line.strip() for line in run(command, "--help").stdout.splitlines()]
    prose = [line for line in lines if not line.startswith(("╭", "│", "╰"))]
    broken = [(line, after) for line, after in pairwise(prose) if line and after]
    assert broken
    assert all(len(f"{line} {after.split()[0]}") > 78 for line, after in broken)


@pytest.mark.parametrize("name", ["sithctl", "_sithctl"])
def test_completions_are_scripts_that_parse(name: str, shell) -> None:
    import shutil

    program = "zsh" if name.startswith("_") else "bash"
    if not shutil.which(program):
        pytest.skip(f"no {program} on this machine")
    path = manual.ROOT / "completions" / name
    assert shell(f"{program} -n {path}").returncode == 0


def test_completion_answers_with_commands(shell) -> None:
    words = 'COMP_WORDS="sithctl de" COMP_CWORD=1 _SITHCTL_COMPLETE=complete_bash sithctl'
    assert shell(words).stdout.split() == [b"decompose"]


def test_the_registry_says_what_the_modules_say() -> None:
    """Stubs in a list of commands, and the commands themselves."""
    from sithctl.commands.registry import COMMANDS, load

    for name, (_, summary) in COMMANDS.items():
        first = load(name).help.strip().split("\n\n")[0]
        assert " ".join(first.split()) == summary, name


def test_help_loads_no_command_and_no_torch(shell) -> None:
    found = shell(
        'python -c \'import sys; sys.argv = ["sithctl", "--help"]; '
        "from sithctl.commands.app import main\n"
        "try: main()\n"
        'except SystemExit: print(sorted(m for m in sys.modules if m.split(".")[0] in '
        '("torch", "numpy", "h5py") or m == "sithctl.commands.explain"))\''
    )
    assert found.stdout.decode().splitlines()[-1] == "[]"


def test_version_alone_loads_no_torch(shell) -> None:
    found = shell("python -X importtime -m sithctl --version")
    assert found.stdout.decode() == f"sithctl {__version__}\n"
    assert b"| torch\n" not in found.stderr


@pytest.mark.parametrize("words", [("--version", "--verbose"), ("--verbose", "--version")])
def test_version_and_all_that_a_bug_report_needs(
    words: tuple[str, ...], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITHCTL_CACHE", "/somewhere")
    monkeypatch.setenv("OPENAI_API_KEY", "a secret")
    lines = run(*words).stdout.splitlines()
    assert lines[0] == f"sithctl {__version__}"
    told = dict(line.split(maxsplit=1) for line in lines[1:])
    assert told["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert told["cache"] == "/somewhere"
    assert told["threads"].startswith(str(torch.get_num_threads()))
    assert {"python", "platform", "processor", "device", "transformers", "typer"} <= set(told)
    assert "secret" not in " ".join(lines)


def test_verbose_alone_is_a_usage_error(shell) -> None:
    result = shell("sithctl --verbose info x")
    assert result.returncode == 2
    assert b"--version" in result.stderr
