"""torchrun's ranks at one piece of work: the single process's file, or a clear end."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Run
from test_resume import PATIENCE, part_of, records

from sithctl.artifacts import save
from sithctl.commands import ranks
from sithctl.commands.ranks import LAUNCHED
from sithctl.errors import UsageError
from sithctl.stages.fold import fold
from sithctl.stages.pool import encode_pool
from sithctl.stages.svd import svd

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds ranks by /proc")


@pytest.fixture(autouse=True)
def _as_torchrun_has_it(one_thread: None) -> None: ...


BOUND = 60  # seconds from a rank's death to the end of all: torchrun itself gives them 30


def launched(*line: object) -> subprocess.Popen[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    words = [*launcher, "--nproc-per-node", "2", "-m", "sithctl", *map(str, line)]
    return subprocess.Popen(
        words,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said_of(process: subprocess.Popen[str], bound: float = PATIENCE) -> list[str]:
    """Its own lines on standard error, without the launcher's."""
    _, said = process.communicate(timeout=bound)
    return [
        line
        for line in said.splitlines()
        if re.match(r"sithctl [a-z-]+:|note:|[0-9,]+ scores", line)
    ]


def test_two_ranks_make_the_mean_of_one(tmp_path: Path, pictures: Path, run: Run) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(pictures, photos)
    (photos / "04.png").write_bytes(b"no picture")
    line = ("mean", photos, "--batch-size", 2)
    process = launched(*line, "-o", tmp_path / "mean.h5")
    (note,) = said_of(process)
    assert process.returncode == 0
    assert note.startswith("note: 1 of 12 images could not be read")
    assert run(*line, "-o", tmp_path / "one.h5").exit_code == 0
    assert (tmp_path / "mean.h5").read_bytes() == (tmp_path / "one.h5").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_two_ranks_make_the_codes_of_one(tmp_path: Path, run: Run) -> None:
    save(encode_pool([f"red {i}" for i in range(40)], "scenes"), tmp_path / "pool.h5")
    save(svd(fold("scenes")), tmp_path / "spectra.safetensors")
    line = ["decompose", tmp_path / "spectra.safetensors", "--pool", tmp_path / "pool.h5"]
    line += ["--layers", "0-5", "--verbose"]  # two blocks
    process = launched(*line, "-o", tmp_path / "codes.h5")
    said = said_of(process)
    assert process.returncode == 0
    one = run(*line, "-o", tmp_path / "one.h5")
    assert one.exit_code == 0
    (scores,) = said  # of both ranks
    assert " ".join(one.stderr.split()) == scores
    assert (tmp_path / "codes.h5").read_bytes() == (tmp_path / "one.h5").read_bytes()


def test_a_rank_that_is_killed_ends_the_run_and_it_goes_on(tmp_path: Path, run: Run) -> None:
    line: list[object] = ["encode-pool", "scenes:images", "--limit", 1000, "--batch-size", 8]
    target = tmp_path / "pool.h5"
    process = launched(*line, "-o", target)
    until = time.monotonic() + PATIENCE
    while records(part_of(target)) < 4 and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(rank_of(process.pid, 1), signal.SIGKILL)
    (said,) = said_of(process, BOUND)
    assert process.returncode == 1
    assert re.match(r"sithctl encode-pool: (another rank has ended|stopped: another rank)", said)
    assert said.endswith("run the same command again")
    assert not target.exists()
    again = run(*line, "-o", target)  # one process takes up what two have left
    assert again.exit_code == 0
    assert "going on after" in again.stderr
    assert run(*line, "-o", tmp_path / "one.h5").exit_code == 0
    assert target.read_bytes() == (tmp_path / "one.h5").read_bytes()


def rank_of(launcher: int, rank: int) -> int:
    """The process of a rank, by its environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            mine = f"RANK={rank}".encode() in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == launcher and mine:
            return int(folder.name)
    raise AssertionError("no such rank")


def test_one_line_of_an_error_that_all_ranks_meet(tmp_path: Path) -> None:
    process = launched("mean", tmp_path / "none", "-o", tmp_path / "mean.h5")
    (said,) = said_of(process)
    assert process.returncode == 1
    assert said.startswith("sithctl mean: no such folder")


def test_of_other_commands_rank_0_does_all(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sithctl.views.console.output._muted", False)  # and put back afterwards
    for name in LAUNCHED:
        monkeypatch.setenv(name, "2")
    for rank, says in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        result = run("models")
        assert result.exit_code == 0
        assert bool(result.stdout) is says


def test_ranks_have_a_gpu_each_and_no_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ranks.device("cuda") == "cuda"
    ranks.refuse_pipe("-")
    for name in LAUNCHED:
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert ranks.device("cuda") == "cuda:1"
    assert ranks.device("cpu") == "cpu"
    with pytest.raises(UsageError, match="name a file"):
        ranks.refuse_pipe("-")
