"""What completion offers, and what the real shells make of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typed import typed

from sithctl.commands import manual

LINES = {  # what a person types: what Tab makes of it
    "sithctl expl": "sithctl explain ",
    "sithctl eval tr": "sithctl eval trust ",
    "sithctl decompose --method nn": "sithctl decompose --method nnomp ",
    "sithctl info o": "sithctl info one.h5 ",
    "sithctl info sub": "sithctl info sub/",
    "sithctl info a": "sithctl info a\\ b.h5 ",
    "sithctl eval effect --data scenes:sp": "sithctl eval effect --data scenes:spurious ",
    "sithctl edit --set 5.2.0=0 --dry": "sithctl edit --set 5.2.0=0 --dry-run ",
    "sithctl edit --set 5.2": "sithctl edit --set 5.2.",
    "cat x | sithctl svd timm:a --hist": "cat x | sithctl svd timm:a --history ",
    "sithctl judge --map th": "sithctl judge --map three.csv ",  # nothing known: any file
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one.h5", "two.txt", "three.csv", "a b.h5"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    return tmp_path


@pytest.fixture
def offers(shell):
    """The values that are offered for a line."""

    def ask(line: str, before: str = "") -> list[str]:
        protocol = "_SITHCTL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args"
        found = shell(f"{before} {protocol} _TYPER_COMPLETE_ARGS='sithctl {line}' sithctl")
        assert found.stderr == b""
        return [row.split("\t")[0] for row in found.stdout.decode().splitlines() if row]

    return ask


def numbers(count: int, first: int = 0) -> list[str]:
    return [str(number) for number in range(first, count)]


@pytest.mark.parametrize("line", LINES)
def test_bash(line: str, folder: Path) -> None:
    assert typed("bash", line, folder) == LINES[line]


@pytest.mark.parametrize("line", list(LINES)[2::2])
def test_zsh(line: str, folder: Path) -> None:
    if not shutil.which("zsh"):
        pytest.skip("no zsh on this machine")
    assert typed("zsh", line, folder) == LINES[line]


def test_fish(folder: Path, shell) -> None:
    if not shutil.which("fish"):
        pytest.skip("no fish on this machine")
    script = f"source {manual.ROOT}/completions/sithctl.fish\n"
    (folder / "ask.fish").write_text(script + "".join(f"complete -C '{line}'\n" for line in LINES))
    rows = shell("fish --no-config ask.fish").stdout.decode().splitlines()
    wanted = [line.replace("\\ ", "_").split()[-1].replace("_", " ") for line in LINES.values()]
    assert [row.split("\t")[0] for row in rows] == wanted


def test_layers_and_heads_of_the_model_at_hand(
    offers, tiny_clip: Path, tiny_open_clip: Path, small_dinov2: Path
) -> None:
    assert offers("explain --layer ") == numbers(6)
    assert offers(f"explain --model {tiny_clip} --layer ") == numbers(5)
    assert offers(f"explain -m {tiny_clip} --tower text --layer ") == numbers(2)
    assert offers("explain --head ", f"SITHCTL_MODEL={tiny_clip}") == numbers(3)
    assert offers(f"fold {tiny_open_clip} --layers 0-") == ["0-0", "0-1"]
    assert offers(f"explain --model {tiny_open_clip} --head ") == numbers(4)
    assert offers(f"edit {small_dinov2} --set ")[0] == "0."


def test_layers_and_heads_of_the_file_at_hand(offers, run, tmp_path: Path) -> None:
    spectra, codes, words = (tmp_path / name for name in ("s.safetensors", "c.h5", "words.txt"))
    words.write_text("red\nring\nocean\nsnow\nbox\n")
    heads = tmp_path / "h.safetensors"
    assert run("fold", "scenes", "--layers", "2,4", "-o", heads).exit_code == 0
    assert run("svd", heads, "--rank", 3, "-o", spectra).exit_code == 0
    assert run("encode-pool", words, "-o", tmp_path / "p.h5").exit_code == 0
    made = run("decompose", spectra, "--pool", tmp_path / "p.h5", "-o", codes, "--mean", "none")
    assert made.exit_code == 0
    assert offers("explain c.h5 --layer ") == ["2", "4"]
    assert offers("explain c.h5 --layer 2,") == ["2,2", "2,4"]
    assert offers("explain c.h5 --sv ") == numbers(3)
    assert offers("decompose s.safetensors --layers ") == ["2", "4"]
    words.rename(codes)
    assert offers("explain c.h5 --layer ") == []  # no codes: nothing is offered, nothing is said


def test_names_and_files(offers, folder: Path) -> None:
    assert offers("fold sc") == ["scenes", "scenes-vit"]
    assert offers("explain --pool ") == ["a b.h5", "one.h5", "sub/", "two.txt"]
    assert offers("decompose --mean ") == ["none", "a b.h5", "one.h5", "sub/"]
    assert offers("edit --plan ") == ["sub/", "three.csv"]
    assert offers("encode-pool con") == ["conceptnet"]
    assert "jsonl" in offers("explain --format ")
    assert offers("reproduce sp") == ["spurious"]


def test_a_model_on_the_hub_is_not_fetched(offers) -> None:
    assert offers("explain --model nobody/none --layer ", "HF_HUB_OFFLINE=0") == []


@pytest.mark.parametrize("line", ["explain --layer ", "edit --set ", "fold "])
def test_completion_loads_no_torch(line: str, shell) -> None:
    protocol = "_SITHCTL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args"
    found = shell(
        f"{protocol} _TYPER_COMPLETE_ARGS='sithctl {line}' python -X importtime -m sithctl"
    )
    assert found.stdout
    assert b"torch" not in found.stderr
    assert b" transformers\n" not in found.stderr
