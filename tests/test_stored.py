"""Pools that stay in their file: the same codes by every route, and as much memory as is given."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from sithctl.artifacts import load, save
from sithctl.artifacts.stored import StoredRows
from sithctl.commands.decompose import STORED
from sithctl.errors import InputError
from sithctl.kinds import Identity, Pool
from sithctl.stages.centring import CentredPool, centre_pool
from tests.bench import vit_l
from tests.conftest import Run
from tests.peak import peak

SITHCTL = (sys.executable, "-m", "sithctl")
SMALL = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4}


def rows(count: int, width: int, dtype: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width), np.float32).astype(dtype)


def pool_file(path: Path, embeddings: np.ndarray) -> Path:
    names = [f"concept {i}" for i in range(len(embeddings))]
    save(Pool(Identity(), (), embeddings, names), path)
    return path


@pytest.fixture(scope="module")
def spectra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model with 768 features."""
    from sithctl import fold, svd

    folder = tmp_path_factory.mktemp("spectra")
    vit_l.make(folder / "model", text_layers=0, num_hidden_layers=2, **SMALL)
    save(svd(fold(str(folder / "model"))), folder / "spectra.safetensors")
    return folder / "spectra.safetensors"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rows_are_those_in_memory(tmp_path: Path, dtype: str) -> None:
    array = rows(1000, 40, dtype)
    path = pool_file(tmp_path / "pool.h5", array)
    pool = load(path, Pool, stored=STORED)
    table = pool.embeddings
    assert isinstance(table, StoredRows)
    path.unlink()  # it is open already
    assert (table.shape, table.dtype, table.nbytes) == (array.shape, array.dtype, array.nbytes)
    some = np.array([5, 999, 5, -1])
    for wanted in (slice(None), slice(3, 7), slice(990, 2000), slice(7, 3), slice(9, 1, -3), some):
        np.testing.assert_array_equal(table[wanted], array[wanted])
    np.testing.assert_array_equal(np.asarray(table), array)
    whole, mean = centre_pool(array)
    centred = CentredPool(table)
    assert torch.equal(centred.mean.float(), torch.from_numpy(mean))
    for count in (1, 2, 700):
        chosen = torch.randint(0, 1000, (count,), generator=torch.Generator().manual_seed(count))
        assert torch.equal(centred.take(chosen), whole[chosen])
        assert torch.equal(centred.block(slice(count, count + 3)), whole[count : count + 3])


def test_a_packed_table_is_read_whole(tmp_path: Path) -> None:
    path = pool_file(tmp_path / "pool.h5", array := rows(50, 8, "float32"))
    with h5py.File(path, "r+") as file:
        del file["embeddings"]
        file.create_dataset("embeddings", data=array, compression="gzip")
    np.testing.assert_array_equal(load(path, Pool, stored=STORED).embeddings, array)


def test_a_file_cut_while_it_is_read(tmp_path: Path) -> None:
    path = pool_file(tmp_path / "pool.h5", rows(1000, 100, "float32"))
    table = load(path, Pool, stored=STORED).embeddings
    with path.open("r+b") as file:
        file.truncate(200_000)
    with pytest.raises(InputError, match="was cut while it was read"):
        CentredPool(table)


def decomposed(run: Run, spectra: Path, pool: Path, *more: str) -> bytes:
    target = pool.with_name("codes.h5")
    done = run(
        "decompose", spectra, "--pool", pool, "--mean", "none", "-o", target, "--force", *more
    )
    assert done.exit_code == 0, done.stderr
    return target.read_bytes()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_same_codes_by_every_route(
    run: Run, spectra: Path, tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sithctl.stages import budget

    pool = pool_file(tmp_path / "pool.h5", rows(3000, 768, dtype))
    held = decomposed(run, spectra, pool)
    assert decomposed(run, spectra, pool, "--exact") == held
    assert decomposed(run, spectra, pool, "--batch-size", "7") == held
    monkeypatch.setattr(budget, "holds", lambda *_: False)
    monkeypatch.setattr("sithctl.stages.decompose.holds", lambda *_: False)
    monkeypatch.setattr("sithctl.pursuit.dictionary.READ", 768 * 100)
    assert decomposed(run, spectra, pool) == held
    assert decomposed(run, spectra, pool, "--exact") == held


def test_too_little_memory_is_told(run: Run, spectra: Path, tmp_path: Path) -> None:
    pool = pool_file(tmp_path / "pool.h5", rows(100, 768, "float32"))
    command = ("decompose", spectra, "--pool", pool, "--mean", "none", "-o", tmp_path / "c.h5")
    refused = run(*command, "--max-memory", "100M")
    assert refused.exit_code == 3
    assert len(refused.stderr.strip().splitlines()) == 1
    least = re.search(r"at least (\d+)M", refused.stderr)
    assert least
    assert "--max-memory 100M is too little" in refused.stderr
    assert not (tmp_path / "c.h5").exists()
    assert run(*command, "--max-memory", f"{int(least[1]) + 50}M").exit_code == 0


@pytest.mark.parametrize("size", ["much", "-3G", "3X", "", "1e9"])
def test_no_size(run: Run, size: str) -> None:
    refused = run("decompose", "spectra.safetensors", "--max-memory", size, "-o", "codes.h5")
    assert refused.exit_code == 2
    assert "no size of memory" in refused.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is counted otherwise")
def test_no_more_than_the_pool_or_than_is_given(spectra: Path, tmp_path: Path) -> None:
    """A float16 pool of 384 MB, of which a copy in float32 would be too much already."""
    size, block = 250_000, rows(10_000, 768, "float16")
    pool = pool_file(tmp_path / "pool.h5", np.tile(block, (size // len(block), 1)))
    command = (
        *SITHCTL,
        "decompose",
        str(spectra),
        "--pool",
        str(pool),
        "--mean",
        "none",
        "--force",
    )
    _, imports = peak((sys.executable, "-c", "import h5py, sithctl.stages.decompose"))
    _, taken = peak((*command, "-o", str(tmp_path / "held.h5")))
    assert taken - imports < pool.stat().st_size + 512e6
    most = imports + int(350e6)
    _, taken = peak((*command, "-o", str(tmp_path / "read.h5"), "--max-memory", str(most)))
    assert taken < most
    assert (tmp_path / "held.h5").read_bytes() == (tmp_path / "read.h5").read_bytes()
