"""Long work that is killed goes on where it was, to the same bytes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run

from sithctl.artifacts import save
from sithctl.artifacts.finished import RECORD, Finished
from sithctl.errors import InputError
from sithctl.kinds.shard import Block
from sithctl.models import load_encoder
from sithctl.models.device import Memory
from sithctl.stages.fold import fold
from sithctl.stages.pool import ready_pool
from sithctl.stages.svd import svd

PATIENCE = 120  # seconds for a process to begin, on a busy machine


@pytest.fixture(autouse=True)
def _equal_bytes_need_equal_threads(one_thread: None) -> None: ...


def part_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def records(path: Path) -> int:
    """How many whole records a part file has."""
    if not path.exists():
        return 0
    content = path.read_bytes()
    at, found = content.find(b"\n") + 1, 0
    while at and at + RECORD.size <= len(content):
        at += RECORD.size + RECORD.unpack(content[at : at + RECORD.size])[1]
        found += at <= len(content)
    return found


def killed(line: list[object], target: Path, sign: int, blocks: int = 1) -> str:
    """Start a command, end it by a signal when so many blocks are finished; what it said."""
    words = [sys.executable, "-m", "sithctl", *map(str, line), "-o", str(target)]
    process = subprocess.Popen(
        words,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    until = time.monotonic() + PATIENCE
    while records(part_of(target)) < blocks and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(sign)
    _, said = process.communicate(timeout=60)
    ends = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}
    assert process.returncode == ends[signal.Signals(sign)]
    assert not target.exists()
    return said


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Spectra of the bundled model, and two pools large enough to be slow enough."""
    folder = tmp_path_factory.mktemp("inputs")
    spectra = svd(fold("scenes"))
    save(spectra, folder / "spectra.safetensors")
    for seed in (1, 2):
        random = np.random.default_rng(seed).standard_normal((30_000, 48), dtype=np.float32)
        labels = [f"concept {i}" for i in range(len(random))]
        save(ready_pool(random, labels, model="scenes"), folder / f"pool{seed}.h5")
    return folder


Same = Callable[[list[object], Path], None]


@pytest.fixture
def same_as_whole(tmp_path: Path, run: Run) -> Same:
    """A command's file has the bytes of one that was never ended, and nothing lies beside it."""

    def check(line: list[object], target: Path) -> None:
        whole = tmp_path / "whole.h5"
        assert run(*line, "-o", whole).exit_code == 0
        assert target.read_bytes() == whole.read_bytes()
        assert not list(tmp_path.glob(".*"))

    return check


def test_decompose_goes_on_after_a_kill(
    inputs: Path, tmp_path: Path, run: Run, same_as_whole: Same
) -> None:
    line: list[object] = ["decompose", inputs / "spectra.safetensors", "--layers", "0-5", "-k", 8]
    target, part = tmp_path / "codes.h5", part_of(tmp_path / "codes.h5")
    killed([*line, "--pool", inputs / "pool1.h5"], target, signal.SIGKILL)
    left = part.read_bytes()

    changed = run(*line, "--pool", inputs / "pool2.h5", "-o", target)
    assert changed.exit_code == 3
    assert "left unfinished differs in pool: " in changed.stderr
    assert "--force to start over" in changed.stderr
    assert changed.stderr.count("\n") == 1
    assert part.read_bytes() == left

    again = run(*line, "--pool", inputs / "pool1.h5", "-o", target)
    assert again.exit_code == 0
    assert "going on after 1 finished blocks" in again.stderr
    same_as_whole([*line, "--pool", inputs / "pool1.h5"], target)


def test_an_image_pool_goes_on_after_a_kill(
    tmp_path: Path, pictures: Path, run: Run, same_as_whole: Same
) -> None:
    photos, target = tmp_path / "photos", tmp_path / "pool.h5"
    captioned_photos(photos, pictures, 15)
    line: list[object] = ["encode-pool", photos, "--batch-size", 2]
    killed(line, target, signal.SIGKILL, blocks=4)
    done = records(part_of(target))
    assert 4 <= done < 90
    again = run(*line, "-o", target)
    assert again.exit_code == 0
    assert f"going on after {done} finished blocks" in again.stderr
    assert "15 of 180 images could not be read and were skipped, the first: 0/03.png" in (
        again.stderr
    )
    same_as_whole(line, target)


def captioned_photos(photos: Path, pictures: Path, times: int) -> None:
    """Many pictures with captions and details, a twelfth of them unreadable."""
    rows = ["file_name,text,detail"]
    for i in range(times):
        shutil.copytree(pictures, photos / str(i))
        (photos / str(i) / "03.png").write_bytes(b"no picture")
        rows += [f"{i}/{n:02}.png,caption {n} of {i},longer {n}" for n in range(12)]
    (photos / "metadata.csv").write_text("\n".join(rows) + "\n")


def test_terminated_says_how_to_go_on(tmp_path: Path) -> None:
    """As batch systems end what has had its time."""
    line: list[object] = ["mean", "scenes", "--limit", 2000, "--batch-size", 8]
    said = killed(line, tmp_path / "mean.h5", signal.SIGTERM)
    assert "note: terminated: " in said
    assert said.endswith("run the same command again to go on\n")


def test_interrupted_says_how_to_go_on(tmp_path: Path, run: Run, same_as_whole: Same) -> None:
    line: list[object] = ["mean", "scenes", "--limit", 2000, "--batch-size", 8]
    target = tmp_path / "mean.h5"
    said = killed(line, target, signal.SIGINT, blocks=2)
    assert "sithctl mean: interrupted: " in said
    assert said.endswith("run the same command again to go on\n")
    assert said.count("\n") == 1
    changed = run(*line, "--seed", 4, "-o", target)
    assert changed.exit_code == 3
    assert "differs in images: " in changed.stderr
    few = [*line[:2], "--limit", 24, "--batch-size", 8]
    anew = run(*few, "-o", target, "--force")
    assert anew.exit_code == 0  # what lay there was thrown away
    assert "going on" not in anew.stderr
    same_as_whole(few, target)


class Killed(BaseException):
    """Stands for a kill where a process of its own would be slow: nothing may catch it."""


Dies = Callable[[list[object], int], None]


@pytest.fixture
def dies(run: Run, monkeypatch: pytest.MonkeyPatch) -> Dies:
    """Run a command that dies after so many finished blocks."""
    add = Finished.add

    def call(line: list[object], after: int) -> None:
        left = [after]

        def counted(self: Finished, block: Block) -> None:
            add(self, block)
            left[0] -= 1
            if not left[0]:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(Finished, "add", counted)
            with pytest.raises(Killed):
                run(*line)

    return call


Cut = Callable[[], list[object]]


@pytest.fixture
def cut_short(tmp_path: Path, dies: Dies, monkeypatch: pytest.MonkeyPatch) -> Cut:
    """A text pool of six blocks, whose making ended after two of them; the command."""
    monkeypatch.setattr("sithctl.stages.text_pool.CHUNK", 4)
    (tmp_path / "words.txt").write_text("\n".join(f"ring {'x' * (i % 7)} {i}" for i in range(22)))
    line: list[object] = ["encode-pool", tmp_path / "words.txt", "--batch-size", 4]

    def cut() -> list[object]:
        dies([*line, "-o", tmp_path / "pool.h5"], 2)
        assert records(tmp_path / ".pool.h5.part") == 2
        return line

    return cut


@pytest.mark.parametrize("option", [("--template", "a {}"), ("--limit", 9), ("--store", "float16")])
def test_other_options_are_refused(
    option: tuple[str, object], cut_short: Cut, tmp_path: Path, run: Run, same_as_whole: Same
) -> None:
    line = cut_short()
    target = tmp_path / "pool.h5"
    refused = run(*line, *option, "-o", target)
    assert refused.exit_code == 3
    assert "left unfinished differs in " in refused.stderr
    assert run(*line, *option, "--force", "-o", target).exit_code == 0
    same_as_whole([*line, *option], target)


@pytest.mark.parametrize("cut", [1, 3000])
def test_half_a_block_is_made_again(
    cut: int, cut_short: Cut, tmp_path: Path, run: Run, same_as_whole: Same
) -> None:
    line = cut_short()
    part, target = tmp_path / ".pool.h5.part", tmp_path / "pool.h5"
    part.write_bytes(part.read_bytes()[:-cut])
    again = run(*line, "-o", target, "--force")  # which overwrites; what fits is gone on with
    assert "going on after 1 finished blocks" in again.stderr
    same_as_whole(line, target)


def test_a_damaged_block_and_what_follows_is_made_again(
    cut_short: Cut, tmp_path: Path, run: Run, same_as_whole: Same
) -> None:
    line = cut_short()
    part, target = tmp_path / ".pool.h5.part", tmp_path / "pool.h5"
    content = bytearray(part.read_bytes())
    content[content.find(b"\n") + 200] ^= 1  # in the first block
    part.write_bytes(content)
    again = run(*line, "-o", target)
    assert again.exit_code == 0
    assert "going on" not in again.stderr
    same_as_whole(line, target)


@pytest.mark.parametrize("content", [b"", b"half a li", b"[1]\n", b"\xff" * 99 + b"\n"])
def test_something_else_in_its_place(
    content: bytes, cut_short: Cut, tmp_path: Path, run: Run
) -> None:
    line = cut_short()
    part, target = tmp_path / ".pool.h5.part", tmp_path / "pool.h5"
    part.write_bytes(content)
    result = run(*line, "-o", target)
    refused = content.endswith(b"\n")
    assert result.exit_code == (3 if refused else 0)
    if refused:
        assert result.stderr.count("\n") == 1
        assert part.read_bytes() == content


def test_one_process_at_a_time(tmp_path: Path) -> None:
    finished = Finished(tmp_path / ".x.part", {"a": 1}, force=False)
    with pytest.raises(InputError, match="another process is at work"):
        Finished(tmp_path / ".x.part", {"a": 1}, force=True)
    finished.close(done=False)
    assert not (tmp_path / ".x.part").exists()  # nothing was begun


def test_a_picture_that_changed_is_seen(
    tmp_path: Path, pictures: Path, run: Run, dies: Dies
) -> None:
    line: list[object] = ["mean", pictures, "--batch-size", 2, "-o", tmp_path / "mean.h5"]
    dies(line, 2)
    (pictures / "00.png").write_bytes((pictures / "01.png").read_bytes())
    refused = run(*line)
    assert refused.exit_code == 3
    assert "differs in source: " in refused.stderr


def test_a_model_that_changed_is_seen(
    tiny_clip: Path, tmp_path: Path, pictures: Path, run: Run, dies: Dies
) -> None:
    from safetensors.torch import load_file, save_file

    model = tmp_path / "model"
    shutil.copytree(tiny_clip, model)
    line: list[object] = ["mean", pictures, "-m", model, "--batch-size", 5]
    line += ["-o", tmp_path / "mean.h5"]
    dies(line, 1)
    weights = load_file(model / "model.safetensors")
    weights["vision_model.embeddings.class_embedding"] += 1  # no part of the read-out
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    refused = run(*line)
    assert refused.exit_code == 3
    assert "differs in weights: " in refused.stderr


def test_places_of_a_source_that_changed_are_seen(
    tmp_path: Path, pictures: Path, run: Run, dies: Dies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a source has nothing to be told apart by but what it says of its pictures."""
    monkeypatch.setattr("sithctl.sources.folders.Folder.stamp", lambda _: None)
    line: list[object] = ["mean", pictures, "--batch-size", 2, "-o", tmp_path / "mean.h5"]
    dies(line, 2)
    (pictures / "01.png").rename(pictures / "01b.png")
    refused = run(*line)
    assert refused.exit_code == 3
    assert "the source has changed since a run was left unfinished" in refused.stderr


def test_standard_output_keeps_nothing(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("red\nblue\n")
    done = run("encode-pool", "words.txt")
    assert done.exit_code == 0
    assert done.stdout_bytes.startswith(b"\x89HDF")
    assert [path.name for path in tmp_path.iterdir()] == ["words.txt"]


def out_of_memory_above(limit: int, forward: Callable[..., torch.Tensor]) -> Callable[..., object]:
    """A forward pass on a device that takes so many rows."""

    def guarded(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        if len(next(iter(batch.values()))) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(batch)

    return guarded


def test_out_of_memory_halves_the_batch(
    tmp_path: Path, pictures: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder("scenes", batch_size=12)
    words = [f"a {'red ' * (i % 5)}ring" for i in range(40)]
    whole = encoder.encode_text(words), encoder.encode_pixels(torch.zeros(10, 3, 48, 48))
    monkeypatch.setattr(encoder, "_text_features", out_of_memory_above(3, encoder._text_features))
    monkeypatch.setattr(encoder, "_image_features", out_of_memory_above(1, encoder._image_features))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        texts = encoder.encode_text(words)
        assert encoder.memory.fits == 3
        images = encoder.encode_pixels(torch.zeros(10, 3, 48, 48))
        assert encoder.memory.fits == 1
    (warning,) = told
    assert "the device's memory is too small for batches of 12" in str(warning.message)
    assert torch.allclose(texts, whole[0], atol=1e-5)
    assert torch.allclose(images, whole[1], atol=1e-5)


def test_the_pursuit_halves_its_batch_too(
    inputs: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sithctl.stages.decompose as module

    line = ["decompose", inputs / "spectra.safetensors", "--pool", inputs / "pool1.h5"]
    line += ["--layers", "5", "--rank", "2"]
    assert run(*line, "-o", tmp_path / "whole.h5").exit_code == 0
    real, asked = module.sparse_code, []

    def tight(*args: object, batch_size: int, **more: object) -> object:
        asked.append(batch_size)
        if batch_size > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(*args, batch_size=batch_size, **more)

    monkeypatch.setattr(module, "sparse_code", tight)
    done = run(*line, "-o", tmp_path / "tight.h5")
    assert done.exit_code == 0
    assert asked == [32, 16, 8, 4, 2]
    assert done.stderr.count("the device's memory is too small for batches of 32") == 1
    assert (tmp_path / "tight.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_too_little_memory_for_one_is_an_error() -> None:
    def work(size: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match="even for a batch of 1"):
            Memory().within(work, 5)


def test_blocks_of_texts_are_the_plain_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorted by length within blocks or over all: the same to rounding."""
    from sithctl.stages.pool import encode_pool

    encoder = load_encoder("scenes", batch_size=4)
    words = [f"{'thin ' * (i % 6)}ring {i}" for i in range(50)]
    monkeypatch.setattr("sithctl.stages.text_pool.CHUNK", 12)
    blocks = encode_pool(words, encoder).embeddings
    np.testing.assert_allclose(blocks, encoder.encode_text(words).numpy(), atol=1e-5)


def test_the_bar_shows_rate_and_time_left() -> None:
    from io import StringIO

    from rich.console import Console
    from rich.progress import Progress

    from sithctl.views.console import Pace

    clock = [0.0]
    bar = Progress(Pace(), console=Console(file=StringIO()), get_time=lambda: clock[0])
    task = bar.add_task("", total=None)
    bar.reset(task, completed=1000, total=3000, base=1000)
    clock[0] = 10.0
    bar.update(task, completed=1500, at=10.0)
    assert Pace().render(bar.tasks[0]).plain == "50/s, 0:00:30 left"
    clock[0] = 14.0  # nothing new: the rate stays, the time goes
    assert Pace().render(bar.tasks[0]).plain == "50/s, 0:00:26 left"
