"""Every command of the README runs, small models in the place of large ones."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run, Shell
from PIL import Image

import sithctl
from tests.zoo import ZOO

README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), flags=re.DOTALL)


(PIPE,) = (b for b in blocks("sh") if b.count("\n") == 1 and b.count(" | ") == 3)
SHELL = [b for b in blocks("sh") if not b.startswith("make") and b != PIPE]


@pytest.fixture
def stand_ins(
    tiny_clip: Path, tiny_open_clip: Path, small_dinov2: Path, tmp_path: Path
) -> dict[str, str]:
    """The README's names → what stands in their place; and the files it speaks of."""
    from transformers import BitImageProcessor

    dinov2 = tmp_path / "models" / "dinov2-base"
    dinov2.mkdir(parents=True)
    for file in small_dinov2.iterdir():
        (dinov2 / file.name).symlink_to(file)
    size = {"height": 28, "width": 28}
    BitImageProcessor(size={"shortest_edge": 28}, crop_size=size).save_pretrained(dinov2)
    (tmp_path / "words.txt").write_text("red\nring\nocean\nbox\nstriped\nsnow\nhoop\n")
    (tmp_path / "classes.txt").write_text("ocean\nforest\n")
    (tmp_path / "question.txt").write_text("How much are these concepts about the ocean?\n")
    generator = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(12):
        pixels = generator.integers(0, 255, size=(40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
        (tmp_path / "photos" / f"{i}.txt").write_text(f"picture {i}\n")
    _waterbirds(tmp_path)
    timm = ZOO["timm-vit"].make(tmp_path / "models" / "timm")
    return {
        "openai/clip-vit-large-patch14": str(tiny_clip),
        "open_clip:ViT-L-14/laion2b_s32b_b82k": str(tiny_open_clip),
        "my-open-clip/": str(tiny_open_clip),
        "facebook/dinov2-base": str(dinov2),
        "timm:vit_base_patch16_224.augreg_in1k": str(timm.folder),
        "recap-coco --model": "scenes:images --model",
        "--limit 5000": "--limit 12",
        "--max-memory 3G": "--max-memory 64G",  # of a process that has run other tests
        "encode-pool conceptnet wordnet": "encode-pool words.txt",
        "encode-pool scenes -o": "encode-pool scenes --limit 800 -o",
        "--limit 512": "--limit 64",
        "--limit 400": "--limit 100",
        "--threshold 0.2 --max-vectors 64": "--threshold 0 --max-vectors 8",
        "reproduce spurious": "reproduce grounding",
        "reproduce all": "reproduce grounding --short",
        "--layers 20-23": "--layers 1-4",
        "--layers 11": "--layers 1",
        "--layers -4-": "--layers 0-1",
        "--layer 11": "--layer 1",
        "11.0.0=0": "1.0.0=0",
        "--tower text --pool words.txt --layer 3": "--tower text --pool words.txt --layer 1",
    }


def _waterbirds(folder: Path) -> None:
    """The published folder's layout, with pictures of noise."""
    (folder / "birds.txt").write_text("landbird\nwaterbird\n")
    generator = np.random.default_rng(1)
    rows = ["img_id,img_filename,y,split,place,place_filename"]
    for i in range(8):
        bird, place = i % 2, i // 2 % 2
        name = f"{i:03}.bird/bird_{i}.jpg"
        path = folder / "waterbirds" / name
        path.parent.mkdir(parents=True)
        Image.fromarray(generator.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(path)
        rows.append(f"{i + 1},{name},{bird},2,{place},/p/place_{i}.jpg")
    (folder / "waterbirds" / "metadata.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.parametrize("block", SHELL, ids=lambda b: " ".join(b.split()[:4]))
def test_commands_of_the_readme(
    block: str,
    stand_ins: dict[str, str],
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, stand_in in stand_ins.items():
        block = block.replace(name, stand_in)
    last = "1" if "tiny-open-clip" in block else "4"
    block = block.replace("--layer 23 --head 8", "--layer 4 --head 1")
    block = block.replace("--layer 23", f"--layer {last}")
    monkeypatch.chdir(tmp_path)
    for line in block.splitlines():
        typed(line, run)


def typed(line: str, run: Run) -> None:
    """What a shell makes of a line, without a new process for every command."""
    pipeline, _, otherwise = line.partition(" || ")
    piped = b""
    for command in pipeline.split(" | "):
        program, *words = shlex.split(command, comments=True)
        assert program == "sithctl"
        # No command can see that this is a pipe: it has no descriptor. So it is named.
        result = run(*words, *(["-"] if piped else []), stdin=piped)
        assert result.exit_code in ({0, 4} if otherwise else {0}), result.stderr
        piped = result.stdout_bytes


def test_the_pipe_of_the_readme_in_a_shell(shell: Shell) -> None:
    done = shell(PIPE)
    assert done.returncode == 0, done.stderr.decode()
    assert "layer 5 · head 0" in done.stdout.decode()
    assert b"Traceback" not in done.stderr


(MINE,) = (b for b in blocks("python") if "photos/" in b)


def test_a_model_of_yours_in_a_notebook(
    stand_ins: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {name: getattr(sithctl, name) for name in sithctl.__all__} | {"words": ["red"] * 5}
    block = MINE.replace("20-23", "4")
    for name, stand_in in stand_ins.items():
        block = block.replace(name, stand_in)
    exec(compile(block, "README.md", "exec"), names)
    assert list(names["codes"].layers) == [4]
    assert names["mu"].count == 12


@pytest.mark.parametrize("block", [b for b in blocks("python") if b != MINE])
def test_python_of_the_readme(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line[0] for line in lines] == ["+", "-", "+", "-"]
    assert torch.get_num_threads() >= 1


def test_session_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run
) -> None:
    """The notebook's session, output and all; then the delta that it saved is put on."""
    (session,) = blocks("pycon")
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(session, {}, "session", "README.md", 0)
    assert len(test.examples) > 10
    failed = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test).failed
    assert not failed, capsys.readouterr().out
    assert re.search(r"`sithctl edit scenes --apply dry.delta -o dry/`", README.read_text())
    result = run("edit", "scenes", "--apply", "dry.delta", "-o", "dry")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "dry" / "config.json").exists()


def test_every_command_of_the_readme_exists(run) -> None:
    text = README.read_text()
    for command in set(re.findall(r"`sithctl ([a-z-]+)", text)) - {"explain"}:
        assert run(command, "--help").exit_code == 0, command


def test_every_command_is_in_the_readme() -> None:
    from sithctl.commands.registry import COMMANDS

    text = README.read_text()
    rows = re.findall(r"^\| `sithctl ([a-z-]+)", text, flags=re.MULTILINE)
    assert set(rows) == set(COMMANDS)


def test_pictures_of_the_readme_are_there_and_told_in_words() -> None:
    pictures = re.findall(r"!\[(.*?)\]\((.*?)\)", README.read_text())
    assert len(pictures) >= 4
    for words, path in pictures:
        assert len(words) > 30
        assert (README.parent / path).read_text().lstrip().startswith(("<svg", "<?xml"))
