"""Parts that ``--shard`` makes, and ``merge``: one whole, byte for byte, or a refusal."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import Run

from sithctl.artifacts import load, save
from sithctl.artifacts.store import intact
from sithctl.kinds import Mean, Pool, Spectra
from sithctl.pursuit.search import Tally
from sithctl.stages.blocks import done_at_once
from sithctl.stages.decompose import Pursuit, decompose
from sithctl.stages.fold import fold
from sithctl.stages.options import Options
from sithctl.stages.pool import encode_pool
from sithctl.stages.svd import svd
from sithctl.stages.task import pose

WORDS = [f"{colour} {shape}" for colour in ("red", "blue", "green") for shape in "abcdefgh"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    (folder / "words.txt").write_text("\n".join(WORDS) + "\n")
    save(encode_pool(WORDS, "scenes"), folder / "pool.h5")
    save(svd(fold("scenes")), folder / "spectra.safetensors")
    return folder


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sithctl.stages.text_pool.CHUNK", 4)


def commands(folder: Path, photos: Path) -> dict[str, list[object]]:
    return {
        "texts": ["encode-pool", folder / "words.txt", "--batch-size", 4],
        "scenes": ["encode-pool", "scenes:images", "--limit", 30, "--batch-size", 4],
        "photos": ["mean", photos, "--batch-size", 2],
        "codes": ["decompose", folder / "spectra.safetensors", "--pool", folder / "pool.h5"],
    }


@pytest.fixture
def photos(pictures: Path, tmp_path: Path) -> Path:
    """Twelve pictures, of which three cannot be read: two of them a whole batch."""
    photos = tmp_path / "photos"
    shutil.copytree(pictures, photos)
    for name in ("02", "03", "08"):
        (photos / f"{name}.png").write_bytes(b"no picture")
    return photos


def shards(run: Run, line: list[object], folder: Path, of: int) -> list[Path]:
    parts = [folder / f"{i}-of-{of}.h5" for i in range(1, of + 1)]
    for i, part in enumerate(parts, 1):
        result = run(*line, "--shard", f"{i}/{of}", "-o", part)
        assert result.exit_code == 0, result.output
    return parts


@pytest.mark.parametrize(
    ("name", "of"),
    [("texts", 3), ("texts", 8), ("scenes", 3), ("photos", 4), ("photos", 9), ("codes", 3)],
)
def test_merged_shards_are_the_whole_byte_for_byte(
    name: str, of: int, folder: Path, photos: Path, tmp_path: Path, run: Run
) -> None:
    line = commands(folder, photos)[name]
    assert run(*line, "-o", tmp_path / "whole.h5").exit_code == 0
    parts = shards(run, line, tmp_path, of)
    assert all(intact(part) for part in parts)
    merged = run("merge", *reversed(parts), "-o", tmp_path / "merged.h5")
    assert merged.exit_code == 0, merged.output
    assert (tmp_path / "merged.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_a_part_may_be_screened_and_another_not(folder: Path, tmp_path: Path, run: Run) -> None:
    line = ["decompose", folder / "spectra.safetensors", "--pool", folder / "pool.h5"]
    assert run(*line, "-o", tmp_path / "whole.h5").exit_code == 0
    exact = [*line, "--exact", "--verbose", "--shard", "1/2"]
    result = run(*exact, "-o", tmp_path / "1.h5")
    assert "scores in float32" in result.stderr
    assert run(*line, "--shard", "2/2", "-o", tmp_path / "2.h5").exit_code == 0
    assert (
        run("merge", tmp_path / "1.h5", tmp_path / "2.h5", "-o", tmp_path / "m.h5").exit_code == 0
    )
    assert (tmp_path / "m.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_blocks_are_screened_and_tallied_as_one(folder: Path) -> None:
    spectra, pool = load(folder / "spectra.safetensors", Spectra), load(folder / "pool.h5", Pool)
    task = pose(spectra, pool, None, [5], Options())
    found: list[Tally] = []
    screened, plain = (
        done_at_once(Pursuit(task, rows=100, screen=screen, report=found.append))
        for screen in (True, False)
    )
    scores = screened.layers[5].indices.size * len(pool.concepts)
    assert [(tally.screened, tally.plain) for tally in found] == [(scores, 0), (0, scores)]
    assert screened.digest == plain.digest == decompose(spectra, pool, layers=[5]).digest


def test_a_part_has_its_own_batches_and_says_so(folder: Path, tmp_path: Path, run: Run) -> None:
    line = commands(folder, folder)["texts"]
    part = shards(run, line, tmp_path, 3)[1]
    with h5py.File(part) as file:
        own = [text.decode() for text in file["concepts"][()]]
    assert own == [word for i, word in enumerate(WORDS) if i // 4 % 3 == 1]
    assert "shard" in run("info", part).stdout
    refused = run("decompose", folder / "spectra.safetensors", "--pool", part)
    assert refused.exit_code == 3
    assert "join all parts with `sithctl merge`" in refused.stderr


def test_skipped_pictures_of_all_parts_are_told(photos: Path, tmp_path: Path, run: Run) -> None:
    line: list[object] = ["mean", photos, "--batch-size", 2]
    parts = shards(run, line, tmp_path, 2)
    assert run("merge", *parts, "-o", tmp_path / "mean.h5").exit_code == 0
    mean = load(tmp_path / "mean.h5", Mean)
    named = {"count": 3, "images": ["02.png", "03.png", "08.png"]}
    assert mean.history[-1]["parameters"]["skipped"] == named
    assert mean.count == 9


def test_merge_refuses_what_are_not_the_parts_of_one_whole(
    folder: Path, tmp_path: Path, run: Run
) -> None:
    line = commands(folder, folder)["texts"]
    one, two, three = shards(run, line, tmp_path, 3)
    other = tmp_path / "other.h5"
    assert run(*line, "--limit", 20, "--shard", "3/3", "-o", other).exit_code == 0
    batch = tmp_path / "batch.h5"
    assert run(*line[:2], "--batch-size", 8, "--shard", "3/3", "-o", batch).exit_code == 0
    codes = commands(folder, folder)["codes"]
    code = tmp_path / "codes.h5"
    assert run(*codes, "--shard", "3/3", "-o", code).exit_code == 0
    cases = {
        (one, two): "missing of 3 shards: 3: make what is missing with --shard 3/3",
        (two,): "missing of 3 shards: 1, 3",
        (one, two, two, three): f"shard 2 is there twice: {two}, {two}",
        (one, two, other): "parts of different runs (pool 1/3, pool 3/3)",
        (one, two, batch): "parts of different runs",
        (one, two, code): "parts of different runs (pool 1/3, codes 3/3)",
        (one, two, folder / "pool.h5"): "a whole, no part of one",
        (one, two, folder / "none.h5"): "no such file",
    }
    for parts, message in cases.items():
        result = run("merge", *parts, "-o", tmp_path / "out.h5")
        assert result.exit_code == 3, message
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
        assert not (tmp_path / "out.h5").exists()


def test_a_damaged_part_is_refused_in_one_line(folder: Path, tmp_path: Path, run: Run) -> None:
    parts = shards(run, commands(folder, folder)["texts"], tmp_path, 2)
    with h5py.File(parts[0], "a") as file:
        del file["shard/rows"]
        file["shard/rows"] = np.array([4, 4])
    result = run("merge", *parts, "-o", tmp_path / "out.h5")
    assert result.exit_code == 3
    assert "damaged" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "1/0", "a/b", "-1/2", "1/2/3"])
def test_no_such_shard(shard: str, folder: Path, tmp_path: Path, run: Run) -> None:
    result = run(*commands(folder, folder)["texts"], "--shard", shard, "-o", tmp_path / "p.h5")
    assert result.exit_code == 2
    assert "3/16" in result.stderr
    assert list(tmp_path.glob(".*.part")) == []


def test_what_has_no_blocks_has_no_shards(folder: Path, tmp_path: Path, run: Run) -> None:
    np.save(tmp_path / "ready.npy", np.eye(3, dtype=np.float32))
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    ready = ("--embeddings", tmp_path / "ready.npy", "--concepts", tmp_path / "labels.txt")
    spectra, pool = folder / "spectra.safetensors", folder / "pool.h5"
    for line in (
        ("encode-pool", *ready),
        ("mean", "--embedding", tmp_path / "ready.npy"),
        ("mean", pool),
        ("decompose", spectra, "--pool", pool, "--export", tmp_path / "pt"),
    ):
        result = run(*line, "--shard", "1/2", "-o", tmp_path / "out.h5")
        assert result.exit_code == 2, line
        assert "--shard" in result.stderr


def test_a_trial_takes_the_first_concepts(folder: Path, tmp_path: Path, run: Run) -> None:
    line = commands(folder, folder)["texts"]
    assert run(*line, "--limit", 5, "-o", tmp_path / "few.h5").exit_code == 0
    assert load(tmp_path / "few.h5", Pool).concepts == WORDS[:5]
