"""Edited checkpoints: golden features, every family in its own library, types, shards, bytes."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from conftest import Run
from safetensors.torch import load_file, save_file
from torch import Tensor

from sithctl import Change, Plan, edit
from sithctl.models import open_model
from sithctl.models.directory import write_directory
from sithctl.models.model import Model
from sithctl.stages.edit import Edit, Spectrum
from sithctl.stages.verify import verify
from tests.zoo import ZOO

Golden = dict[str, Tensor]
MIXED = (
    Change(0, 0, 0, 0.0),
    Change(0, 0, 3, -1.5),
    Change(0, 1, 1, 2.0),
    Change(1, 0, 0, -1.0),
    Change(1, 0, 2, 0.25),
)


def written(made: Edit, model: Model, target: Path) -> Model:
    write_directory(model, made.changed, target, lambda found: verify(found, made) and {})
    weights = next(p for p in sorted(target.iterdir(), reverse=True) if ".safetensors" in p.name)
    return open_model(str(weights), tower=model.family.tower)


def changes_of(scales: Tensor) -> list[Change]:
    places = (scales != 1).nonzero().tolist()
    return [Change(a, b, c, float(scales[a, b, c])) for a, b, c in places]


def same_but(one: Path, other: Path, changed: set[str]) -> None:
    """Equal bytes but inside the changed tensors, which differ."""
    first, second = bytearray(one.read_bytes()), bytearray(other.read_bytes())
    (length,) = struct.unpack("<Q", first[:8])
    header = json.loads(first[8 : 8 + length])
    for name in changed & header.keys():
        start, stop = (8 + length + offset for offset in header[name]["data_offsets"])
        assert first[start:stop] != second[start:stop], name
        second[start:stop] = first[start:stop]
    assert first == second


def test_golden_clip_in_open_clip(small_clip: Path, golden: Golden, run: Run, tmp_path) -> None:
    import open_clip

    sets = [f"--set={c.layer}.{c.head}.{c.sv}={c.scale}" for c in changes_of(golden["edit.scales"])]
    result = run("edit", small_clip, *sets, "-o", tmp_path / "edited")
    assert result.exit_code == 0, result.output
    model = open_clip.create_model(f"local-dir:{tmp_path / 'edited'}").eval()
    with torch.no_grad():
        features = model.encode_image(golden["model.images"])
    expected = golden["edit.image_features"]
    if torch.allclose(expected.norm(dim=-1), torch.ones(len(expected)), atol=1e-4):
        features = F.normalize(features, dim=-1)
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=0)


def test_golden_dinov2_in_transformers(small_dinov2, golden_dinov2: Golden, run, tmp_path) -> None:
    from transformers import Dinov2Model

    changes = changes_of(golden_dinov2["edit.scales"])
    sets = [f"--set={c.layer}.{c.head}.{c.sv}={c.scale}" for c in changes]
    result = run("edit", small_dinov2, *sets, "-o", tmp_path / "edited")
    assert result.exit_code == 0, result.output
    model = Dinov2Model.from_pretrained(tmp_path / "edited").eval()
    with torch.no_grad():
        features = model(pixel_values=golden_dinov2["model.images"]).pooler_output
    expected = golden_dinov2["edit.features"]
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=0)


def test_a_no_op_changes_no_byte(tiny_clip: Path, tmp_path: Path) -> None:
    model = open_model(str(tiny_clip))
    made = edit(model, Plan.of(Change(*c.place, 1.0) for c in MIXED))
    assert made.changed == {}
    written(made, model, tmp_path / "same")
    for path in tiny_clip.iterdir():
        assert (tmp_path / "same" / path.name).read_bytes() == path.read_bytes()


def test_what_reads_back_is_the_sorted_product(tiny_clip: Path, tmp_path: Path) -> None:
    model = open_model(str(tiny_clip))
    made = edit(model, Plan.of(MIXED))
    again = written(made, model, tmp_path / "edited")
    for layer in (0, 1):
        alpha = torch.ones(model.heads, model.head_dim, dtype=torch.float64)
        for change in MIXED:
            if change.layer == layer:
                alpha[change.head, change.sv] = change.scale
        before = Spectrum.of(model, model.layer(layer)).sigma
        found = Spectrum.of(again, again.layer(layer)).sigma
        expected = (alpha * before).abs().sort(-1, descending=True).values
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert set(made.changed) == {
        f"vision_model.encoder.layers.{layer}.self_attn.out_proj.{part}"
        for layer in (0, 1)
        for part in ("weight", "bias")
    }
    same_but(
        tiny_clip / "model.safetensors", tmp_path / "edited/model.safetensors", set(made.changed)
    )


def _constant_and_matrix(model: Model, layer: int) -> tuple[Tensor, Tensor]:
    """What attention writes of any single token: (width,) and (width, width), both float64."""
    weights, names = model.layer(layer), model.output_names(layer)
    scale = torch.ones(model.width) if weights.layer_scale is None else weights.layer_scale
    value = weights.value_weight * weights.norm_weight
    matrix = value.T @ weights.output_weight.T * scale
    told = torch.zeros(len(value), dtype=torch.float64)
    if weights.norm_bias is not None:
        told = told + weights.value_weight @ weights.norm_bias
    if weights.value_bias is not None:
        told = told + weights.value_bias
    constant = weights.output_weight @ told
    if names.bias is not None:
        constant = constant + model.checkpoint.read(names.bias)
    return constant * scale, matrix


@pytest.mark.parametrize("name", ZOO)
def test_every_family(name: str, tmp_path: Path) -> None:
    ZOO[name].make(tmp_path / "model")
    tower = getattr(ZOO[name], "tower", "vision")
    model = open_model(str(tmp_path / "model"), tower=tower)
    plan = Plan.of([Change(0, 0, 0, 0.0), Change(1, model.heads - 1, 1, -2.0)])
    made = edit(model, plan)
    again = written(made, model, tmp_path / "edited")
    for layer in (0, 1):
        spectrum = Spectrum.of(model, model.layer(layer))
        found = Spectrum.of(again, again.layer(layer)).factors
        right = spectrum.right.clone()
        for change in plan.of_layer(layer):
            right[change.head, change.sv] *= change.scale
        factors = spectrum.factors
        new = factors.writer + (factors.writer @ spectrum.right.mT) @ (right - spectrum.right)
        torch.testing.assert_close(
            found.reader @ found.writer, factors.reader @ new, atol=1e-6, rtol=1e-5
        )
        before, after = (_constant_and_matrix(m, layer) for m in (model, again))
        torch.testing.assert_close(after[0], before[0], atol=1e-6, rtol=1e-6)
        assert (after[1] - before[1]).norm() > 1e-4
    _loads_in_its_library(name, tmp_path / "edited", again)


@pytest.mark.parametrize("name", ZOO)
def test_attention_of_the_edited_model_in_its_library(name: str, tmp_path: Path) -> None:
    """The real module of the written directory: what it adds for a token differs from what the
    original's adds by the normalised token times Σ (α − 1) σ u vᵀ, and by nothing constant."""
    kind = ZOO[name]
    original = kind.make(tmp_path / "model")
    model = open_model(str(tmp_path / "model"), tower=getattr(kind, "tower", "vision"))
    plan = Plan.of(
        [Change(0, 0, 0, 0.0), Change(0, 1, 2, -1.0), Change(1, model.heads - 1, 1, 1.6)]
    )
    written(edit(model, plan), model, tmp_path / "edited")
    edited = kind.load(tmp_path / "edited")
    x = torch.randn(3, 1, model.width, generator=torch.Generator().manual_seed(4)).double()
    norm = F.layer_norm if model.centred else F.rms_norm
    token = norm(x[:, 0], (model.width,), eps=model.epsilon)
    for layer in (0, 1):
        reads, found = torch.zeros_like(token), Spectrum.of(model, model.layer(layer))
        sigma, right = found.sigma, found.right
        left = found.factors.reader @ (found.factors.writer @ right.mT) / sigma.unsqueeze(1)
        for c in plan.of_layer(layer):
            u, v = left[c.head, :, c.sv], right[c.head, c.sv]
            reads = reads + (c.scale - 1) * sigma[c.head, c.sv] * (token @ u).unsqueeze(1) * v
        with torch.no_grad():
            change = edited.attend(layer, x)[:, 0] - original.attend(layer, x)[:, 0]
        assert reads.norm() > 1e-3
        torch.testing.assert_close(change, reads, atol=2e-6, rtol=1e-4)


def _loads_in_its_library(name: str, folder: Path, ours: Model) -> None:
    """Every tensor finds its place, and is the one that we wrote."""
    library = name.partition("-")[0]
    if library == "transformers":
        import transformers

        kind = getattr(transformers, ZOO[name].model)
        model, info = kind.from_pretrained(folder, output_loading_info=True)
        assert not info["missing_keys"]
        assert not info["unexpected_keys"]
        assert not info["mismatched_keys"]
        loaded = model.state_dict()
    elif library == "timm":
        import timm

        loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).state_dict()
    else:
        import open_clip

        loaded = open_clip.create_model(f"local-dir:{folder}").state_dict()
    for layer in (0, 1):
        stored = ours.checkpoint.stored(ours.output_names(layer).weight)
        assert any(t.shape == stored.shape and torch.equal(t, stored) for t in loaded.values())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("whole_head", [False, True])
def test_other_types_stay(tiny_clip, tmp_path, dtype: torch.dtype, whole_head: bool) -> None:
    shutil.copytree(tiny_clip, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    save_file(
        {n: _cast(t, dtype) for n, t in load_file(weights).items()}, weights, {"format": "pt"}
    )
    model = open_model(str(tmp_path / "model"))
    changes = [Change(0, 1, i, 0.0) for i in range(model.head_dim)] if whole_head else MIXED
    made = edit(model, Plan.of(changes))
    again = written(made, model, tmp_path / "edited")
    found = verify(again, made)
    assert found.dtype == str(dtype).removeprefix("torch.")
    assert found.sigma <= found.bound + 1e-9
    if dtype is not torch.float64 and not whole_head:
        assert found.matrix > 1e-6
    types = {name: again.checkpoint.dtype(name) for name in again.checkpoint.names()}
    assert types == {name: model.checkpoint.dtype(name) for name in types}


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


@pytest.fixture
def sharded(tiny_clip: Path, tmp_path: Path) -> Callable[[bool], Path]:
    """The tiny CLIP in shards, of safetensors or pickled."""

    def make(pickled: bool) -> Path:
        folder = tmp_path / "sharded"
        shutil.copytree(tiny_clip, folder)
        tensors = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        names = sorted(tensors)
        stem, ending = ("pytorch_model", "bin") if pickled else ("model", "safetensors")
        weight_map = {}
        for number in range(4):
            file = f"{stem}-{number + 1:05}-of-00004.{ending}"
            part = {n: tensors[n] for n in names[number::4]}
            weight_map |= dict.fromkeys(part, file)
            if pickled:
                torch.save(part, folder / file)
            else:
                save_file(part, folder / file, {"format": "pt"})
        document = {"metadata": {"total_size": 1}, "weight_map": weight_map}
        (folder / f"{stem}.{ending}.index.json").write_text(json.dumps(document))
        return folder

    return make


def test_shards_stay_shards(sharded: Callable[[bool], Path], tmp_path: Path) -> None:
    source = sharded(False)
    model = open_model(str(source))
    made = edit(model, Plan.of([Change(0, 0, 0, 0.0)]))
    write_directory(model, made.changed, tmp_path / "edited", lambda m: verify(m, made) and {})
    for path in source.iterdir():
        other = tmp_path / "edited" / path.name
        if path.suffix == ".safetensors":
            same_but(path, other, set(made.changed))
        else:
            assert other.read_bytes() == path.read_bytes()
    edited = tmp_path / "edited"
    touched = {path.name for path in model.checkpoint.files().values()} - {
        p.name for p in source.iterdir() if p.read_bytes() == (edited / p.name).read_bytes()
    }
    assert touched == {model.checkpoint.files()[n].name for n in made.changed}


@pytest.mark.parametrize("in_shards", [False, True])
def test_pickled_ones_come_back_as_safetensors(
    in_shards: bool, sharded: Callable[[bool], Path], tiny_clip: Path, tmp_path: Path
) -> None:
    from transformers import CLIPModel

    tensors = load_file(tiny_clip / "model.safetensors")
    if in_shards:
        source = sharded(True)
    else:
        source = tmp_path / "single"
        shutil.copytree(tiny_clip, source)
        (source / "model.safetensors").unlink()
        torch.save(tensors, source / "pytorch_model.bin")
    model = open_model(str(source))
    made = edit(model, Plan.of(MIXED))
    left_out = write_directory(
        model, made.changed, tmp_path / "edited", lambda m: verify(m, made) and {}
    )
    assert left_out == []
    assert not list((tmp_path / "edited").glob("*.bin*"))
    kind, info = CLIPModel.from_pretrained(tmp_path / "edited", output_loading_info=True)
    assert not info["missing_keys"]
    loaded = kind.state_dict()
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], made.changed.get(name, tensor)), name
