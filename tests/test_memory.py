"""How much memory the weight stages take, and that a tensor at a time means the same bytes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from sithctl.checkpoints import tensor_file
from sithctl.errors import InputError
from tests.bench import vit_l
from tests.peak import peak

NARROW = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8}
SITHCTL = (sys.executable, "-m", "sithctl")
TYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", "c8"]


def test_the_library_writes_the_same_bytes(tmp_path: Path) -> None:
    arrays = {f"é{i % 3}{t}": np.arange(2 * i).reshape(2, i).astype(t) for i, t in enumerate(TYPES)}
    arrays |= {"one": np.float32(7).reshape(()), "turned": np.eye(3, 5, 1, np.float32).T}
    metadata = {"sithctl": '{"ä": "\x01\x7f\\"/\\t"}'}
    solid = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
    path = tmp_path / "tensors"
    tensor_file.write(path, arrays, metadata)
    assert path.read_bytes() == save(solid, metadata=metadata)
    found, places = tensor_file.header(path)
    assert found == metadata
    for name, array in arrays.items():
        read = tensor_file.array(path, places[name])
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("part", [slice(None), slice(2, 4), slice(-3, None), slice(4, 2)])
def test_some_rows(tmp_path: Path, part: slice) -> None:
    array = np.arange(35.0).reshape(7, 5)
    tensor_file.write(tmp_path / "t", {"a": array, "b": array + 1}, {})
    place = tensor_file.header(tmp_path / "t")[1]["b"].rows(part)
    np.testing.assert_array_equal(tensor_file.array(tmp_path / "t", place), array[part] + 1)


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    from sithctl.checkpoints.reader import Checkpoint

    path = tmp_path / "t.safetensors"
    tensor_file.write(path, {"a": np.zeros(1000, np.float32)}, {})
    checkpoint = Checkpoint(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="not a whole safetensors"):
        checkpoint.read("a")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is given back otherwise")
def test_fold_and_svd_hold_no_more_than_what_they_make(tmp_path: Path) -> None:
    """Beyond the imports: of a checkpoint of 460 MB, of which they need a ninth."""
    model = vit_l.make(tmp_path / "model", text_layers=0, **NARROW)
    heads, spectra = tmp_path / "heads", tmp_path / "spectra"
    _, imports = peak((*SITHCTL, "fold", str(model.parent), "--dry-run"), stdout=-3)
    _, fold = peak((*SITHCTL, "fold", str(model.parent), "-o", str(heads)))
    _, svd = peak((*SITHCTL, "svd", str(heads), "-o", str(spectra)))
    made = heads.stat().st_size
    assert fold - imports < 1.7 * made  # the heads, and a layer in float64
    assert svd - imports < 2.7 * made  # as many spectra besides
    assert svd - imports < model.stat().st_size / 2
