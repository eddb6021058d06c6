"""Files between stages: equal work has equal bytes, damage is found, nothing half-written stays."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from sithctl.artifacts import load, save
from sithctl.artifacts.cache import cached, file_digest
from sithctl.artifacts.containers import read
from sithctl.artifacts.store import intact
from sithctl.artifacts.streams import writable
from sithctl.errors import InputError
from sithctl.kinds import Artefact, Codes, Heads, Identity, Mean, Pool, Spectra, entry
from sithctl.stages.decompose import decompose
from sithctl.stages.fold import fold
from sithctl.stages.pool import encode_pool
from sithctl.stages.svd import svd


@pytest.fixture(scope="module")
def artefacts(tiny_clip: Path) -> dict[str, Artefact]:
    name = str(tiny_clip)
    heads = fold(name, "-2-")
    spectra = svd(heads, rank=4)
    words = ["red", "ring", "größe", "two boxes", "海", "striped"]
    pool = encode_pool(words, name, factors=[{"colour": "red"}, {}, {}, {}, {}, {}])
    mean = Mean(pool.model, (entry("mean", {}, {}),), np.arange(24.0) / 100, 2)
    codes = decompose(spectra, pool, mean, layers="-1")
    return {a.kind: a for a in (heads, spectra, pool, mean, codes)}


@pytest.mark.parametrize("kind", [Heads, Spectra, Pool, Mean, Codes], ids=lambda k: k.kind)
def test_round_trip(kind: type[Artefact], artefacts: dict[str, Artefact], tmp_path: Path) -> None:
    original = artefacts[kind.kind]
    save(original, tmp_path / "a")
    again = load(tmp_path / "a", kind)
    assert again.document() == json.loads(json.dumps(original.document()))
    for name, column in original.arrays().items():
        np.testing.assert_array_equal(np.asarray(again.arrays()[name]), np.asarray(column))
    assert again.digest == original.digest
    assert intact(tmp_path / "a")
    save(again, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("kind", [Heads, Spectra, Pool, Mean, Codes], ids=lambda k: k.kind)
def test_documents_carry_the_contract(
    kind: type[Artefact], artefacts: dict, tmp_path: Path
) -> None:
    save(artefacts[kind.kind], tmp_path / "a")
    document, _ = read(tmp_path / "a", "a", only_document=True)
    assert document["kind"] == kind.kind
    assert document["schema"] == 1
    assert document["model"]["name"] == "tiny-clip"
    assert document["model"]["space"]
    for stage in document["history"]:
        assert set(stage) == {"stage", "version", "parameters", "inputs"}
    assert str(tmp_path) not in json.dumps(document)


def test_history_is_the_whole_way(artefacts: dict[str, Artefact]) -> None:
    stages = [stage["stage"] for stage in artefacts["codes"].history]
    assert stages == ["fold", "svd", "encode-pool", "mean", "decompose"]
    inputs = artefacts["codes"].history[-1]["inputs"]
    for kind in ("spectra", "pool", "mean"):
        assert inputs[kind] == artefacts[kind].digest


def test_names_and_shapes_of_the_contract(artefacts: dict[str, Artefact]) -> None:
    def shapes(kind: str) -> dict[str, tuple[int, ...]]:
        return {n: np.asarray(a).shape for n, a in artefacts[kind].arrays().items()}

    heads, spectra, codes = shapes("heads"), shapes("spectra"), shapes("codes")
    assert heads["layers.4.value"] == (3, 48, 16)
    assert heads["layers.4.output"] == (3, 16, 48)
    assert heads["layers.4.value_constant"] == (3, 16)
    assert heads["readout.1.weight"] == (48, 24)
    assert spectra["layers.3.left"] == spectra["layers.3.right"] == (3, 4, 48)
    assert spectra["layers.3.singular_values"] == (3, 16)
    assert codes["layers/4/indices"] == codes["layers/4/coefficients"] == (3, 4, 2, 5)
    assert codes["layers/4/fidelity"] == (3, 4, 2, 3)
    assert codes["layers/4/energy"] == codes["layers/4/degenerate"] == (3, 4)
    assert shapes("mean") == {"sum": (24,), "count": (), "mean": (24,)}


@pytest.mark.parametrize("kind", ["heads", "pool", "codes"])
def test_truncated_files(kind: str, artefacts: dict[str, Artefact], tmp_path: Path) -> None:
    save(artefacts[kind], tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    for size in (1, 7, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a").write_bytes(whole[:size])
        with pytest.raises(InputError, match="whole"):
            load(tmp_path / "a", type(artefacts[kind]))


def test_files_of_other_kinds(artefacts: dict[str, Artefact], tmp_path: Path) -> None:
    save(artefacts["pool"], tmp_path / "pool")
    with pytest.raises(
        InputError, match=r"expected codes \(from `sithctl decompose`\), found pool"
    ):
        load(tmp_path / "pool", Codes)
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["data"] = [1, 2]
    with pytest.raises(InputError, match="did not write"):
        load(tmp_path / "foreign.h5", Pool)
    (tmp_path / "empty").touch()
    with pytest.raises(InputError, match="empty"):
        load(tmp_path / "empty", Pool)
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "nothing", Pool)
    with pytest.raises(InputError, match="a folder"):
        load(tmp_path, Pool)


def test_an_array_that_is_missing(artefacts: dict[str, Artefact], tmp_path: Path) -> None:
    save(artefacts["codes"], tmp_path / "a")
    with h5py.File(tmp_path / "a", "a") as file:
        del file["layers/4/indices"]
    with pytest.raises(InputError, match="damaged codes"):
        load(tmp_path / "a", Codes)


def test_a_later_schema(artefacts: dict[str, Artefact], tmp_path: Path) -> None:
    save(artefacts["mean"], tmp_path / "a")
    with h5py.File(tmp_path / "a", "a") as file:
        document = json.loads(file.attrs["sithctl"])
        file.attrs["sithctl"] = json.dumps({**document, "schema": 9})
    with pytest.raises(InputError, match="newer than this version"):
        load(tmp_path / "a", Mean)


@pytest.mark.parametrize("schema", ["1", None, 0, [1]])
def test_a_schema_that_is_no_number(
    schema: object, artefacts: dict[str, Artefact], tmp_path: Path
) -> None:
    save(artefacts["mean"], tmp_path / "a")
    with h5py.File(tmp_path / "a", "a") as file:
        document = json.loads(file.attrs["sithctl"])
        file.attrs["sithctl"] = json.dumps({**document, "schema": schema})
    with pytest.raises(InputError, match="damaged mean: schema"):
        load(tmp_path / "a", Mean)


def test_changed_content_is_not_intact(artefacts: dict[str, Artefact], tmp_path: Path) -> None:
    save(artefacts["codes"], tmp_path / "a")
    with h5py.File(tmp_path / "a", "a") as file:
        file["layers/4/coefficients"][0, 0, 0, 0] += 1
    assert not intact(tmp_path / "a")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("before")

    def write_half() -> None:
        with writable(target) as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["target"]  # noqa: PTH208


def test_cache_makes_once_and_mends_a_broken_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITHCTL_CACHE", str(tmp_path))
    calls = []

    def make() -> Mean:
        calls.append(1)
        return Mean(Identity(), (), np.ones(3), 1)

    for _ in range(3):
        cached("mean", {"a": 1}, Mean, make)
    assert len(calls) == 1
    (broken,) = tmp_path.glob("mean-*")
    broken.write_bytes(b"broken")
    assert cached("mean", {"a": 1}, Mean, make).count == 1
    assert len(calls) == 2
    cached("mean", {"a": 2}, Mean, make)
    assert len(calls) == 3


def test_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SITHCTL_CACHE", str(tmp_path / "file" / "below"))
    made = cached("mean", {}, Mean, lambda: Mean(Identity(), (), np.ones(3), 1))
    assert made.count == 1
    assert len(file_digest(tmp_path / "file")) == 64


def test_digest_of_a_changed_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    first = file_digest(path)
    path.write_bytes(b"other")
    assert file_digest(path) != first
