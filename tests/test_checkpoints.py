"""Weights by tensor name, in every container, and what is wrong with bad ones."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.models import open_model
from sithctl.stages.fold import fold


@pytest.fixture
def copy(small_clip: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(small_clip, folder)
    return folder


Change = Callable[[dict[str, Tensor]], None]


def rewrite(folder: Path, change: Change) -> None:
    path = folder / "open_clip_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def same_heads(one: Path, other: Path) -> None:
    left, right = fold(str(one)), fold(str(other))
    assert left.model.layers == right.model.layers
    for layer in left.layers:
        np.testing.assert_array_equal(left.layers[layer].value, right.layers[layer].value)
        np.testing.assert_array_equal(left.layers[layer].output, right.layers[layer].output)


@pytest.mark.parametrize("wrapped", [False, True])
def test_pickled_state_dicts(small_clip: Path, copy: Path, wrapped: bool) -> None:
    path = copy / "open_clip_model.safetensors"
    tensors = load_file(path)
    if wrapped:
        tensors = {"epoch": 3, "state_dict": {f"module.{n}": t for n, t in tensors.items()}}
    torch.save(tensors, copy / "open_clip_pytorch_model.bin")
    path.unlink()
    same_heads(small_clip, copy)


def test_shards(tiny_clip: Path, tmp_path: Path) -> None:
    from transformers import CLIPModel

    CLIPModel.from_pretrained(tiny_clip).save_pretrained(
        tmp_path / "sharded", max_shard_size="150KB"
    )
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 2
    same_heads(tiny_clip, tmp_path / "sharded")


def test_a_file_in_a_model_directory(small_clip: Path) -> None:
    same_heads(small_clip, small_clip / "open_clip_model.safetensors")


def test_only_the_tensors_needed_are_read(
    small_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = Checkpoint.read

    def note(self: Checkpoint, name: str, rows: slice | None = None) -> Tensor:
        read.append(name)
        assert (rows is not None) == name.endswith("in_proj_weight")  # the values' third alone
        return original(self, name, rows)

    monkeypatch.setattr(Checkpoint, "read", note)
    fold(str(small_clip), "1")
    assert len(read) == len(set(read)) == 8
    layer = [n for n in read if "resblocks" in n]
    assert all(n.startswith("visual.transformer.resblocks.1.") for n in layer)


def test_shards_in_a_hubs_cache_are_links(tiny_clip: Path, tmp_path: Path) -> None:
    """The hub's cache keeps blobs elsewhere and links to them from its snapshots."""
    from transformers import CLIPModel

    snapshot, blobs = tmp_path / "snapshots" / "abc", tmp_path / "blobs"
    CLIPModel.from_pretrained(tiny_clip).save_pretrained(snapshot, max_shard_size="150KB")
    blobs.mkdir()
    for i, file in enumerate(sorted(snapshot.iterdir())):
        file.rename(blobs / f"{i:04x}")
        file.symlink_to(Path("../../blobs") / f"{i:04x}")
    same_heads(tiny_clip, snapshot)


def test_nothing_is_unpickled(copy: Path, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "owned"),)  # type: ignore[return-value]

    (copy / "open_clip_model.safetensors").unlink()
    (copy / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps({"a": Payload()}))
    with pytest.raises(InputError, match="weights_only"):
        fold(str(copy))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinite_weights(copy: Path, value: float) -> None:
    name = "visual.transformer.resblocks.1.attn.out_proj.weight"
    rewrite(copy, lambda tensors: tensors[name].view(-1)[7].fill_(value))
    fold(str(copy), "0")
    with pytest.raises(InputError, match=f"NaN or infinite weights in {name}"):
        fold(str(copy))


def test_a_missing_tensor_is_named_with_the_nearest(copy: Path) -> None:
    name = "visual.transformer.resblocks.2.attn.out_proj.weight"
    rewrite(copy, lambda tensors: tensors.pop(name))
    with pytest.raises(
        InputError, match=rf"no tensor {name} among the \d+ found \(nearest: visual"
    ):
        fold(str(copy))


def test_a_config_that_contradicts_the_shapes(copy: Path) -> None:
    config = json.loads((copy / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"]["width"] = 96
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"shape \(64, 64\) where the config says \(96, …\)"):
        fold(str(copy))


def test_heads_that_do_not_divide_the_width(copy: Path) -> None:
    config = json.loads((copy / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"]["head_width"] = 13
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="do not divide"):
        fold(str(copy))


def test_truncated_and_missing_weights(copy: Path) -> None:
    path = copy / "open_clip_model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="not a whole safetensors"):
        fold(str(copy))
    path.unlink()
    with pytest.raises(InputError, match="no weights"):
        fold(str(copy))


def test_an_index_that_leaves_its_folder(tiny_clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_clip, folder)
    (folder / "model.safetensors").rename(tmp_path / "outside.safetensors")
    index = {"weight_map": {"a": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="outside its folder"):
        fold(str(folder))


def test_unknown_architectures_and_structures(copy: Path, tmp_path: Path) -> None:
    other = tmp_path / "bert"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"model_type": "bert"}))
    save_file({"a": torch.zeros(1)}, other / "model.safetensors")
    with pytest.raises(InputError, match="not supported: architecture bert"):
        open_model(str(other))
    rewrite(
        copy,
        lambda t: t.update({"visual.transformer.resblocks.0.ln_attn.weight": torch.ones(64)}),
    )
    with pytest.raises(InputError, match="not supported: a norm after the heads' sum"):
        open_model(str(copy))


def test_a_folder_that_two_libraries_can_read(
    tiny_clip: Path, tiny_open_clip: Path, tmp_path: Path
) -> None:
    """As on the hub: both configs and both weights in one place; each is read with its own."""
    both = tmp_path / "both"
    shutil.copytree(tiny_clip, both)
    for file in tiny_open_clip.iterdir():
        shutil.copyfile(file, both / file.name)
    same_heads(tiny_clip, both)
    (both / "model.safetensors").unlink()
    same_heads(tiny_open_clip, both)


def test_hub_names_are_found_where_the_hub_keeps_them(
    tiny_clip: Path, tiny_open_clip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The success path of both kinds of hub name, on a snapshot laid out as the hub has it."""
    import huggingface_hub

    both = tmp_path / "snapshot"
    shutil.copytree(tiny_clip, both)
    for file in tiny_open_clip.iterdir():
        shutil.copyfile(file, both / file.name)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(both))
    assert open_model("someone/clip").family.name == "CLIP"
    model = open_model("open_clip:hf-hub:someone/clip")
    assert model.family.name == "OpenCLIP ViT, CoCa"
    assert model.name == "open_clip:hf-hub:someone/clip"


def test_old_pickles_and_torn_shards(small_clip: Path, copy: Path, tiny_clip: Path) -> None:
    path = copy / "open_clip_model.safetensors"
    tensors = load_file(path)
    path.unlink()
    old = copy / "open_clip_pytorch_model.bin"
    torch.save(tensors, old, _use_new_zipfile_serialization=False)
    same_heads(small_clip, copy)
    old.write_bytes(old.read_bytes()[:3000])
    with pytest.raises(InputError, match="weights_only"):
        fold(str(copy))


def test_no_remote_code(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "mine", "auto_map": {"AutoConfig": "config.Mine"}})
    )
    (tmp_path / "config.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')")
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="architecture mine is not in the table"):
        open_model(str(tmp_path))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["nowhere", "./nowhere", "timm:vit_base", "open_clip:NoSuch/x"])
def test_models_that_are_not_there(name: str) -> None:
    with pytest.raises(InputError):
        open_model(name)


def test_a_hub_id_without_a_hub() -> None:
    with pytest.raises(InputError, match="hub does not give it"):
        open_model("nobody/nothing-here")
