"""LoRA adapters that peft itself made and saved: read as peft merges them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import torch.nn.functional as F
import transformers
from conftest import Run, roughen
from safetensors.torch import load_file, save_file

from sithctl.artifacts import load
from sithctl.checkpoints.reader import Checkpoint
from sithctl.errors import InputError
from sithctl.kinds import Heads
from sithctl.models import load_encoder, open_model
from sithctl.stages.fold import fold, layer_digest
from tests.zoo import ZOO

ATTENTION = ["q_proj", "k_proj", "v_proj", "out_proj"]
VIT = ["q_proj", "v_proj", "o_proj"]


def random_weights(model: torch.nn.Module, seed: int = 0) -> None:
    """peft starts B at 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter += (0.1 * noise).to(parameter.dtype)
            elif name.endswith("bias") and parameter.requires_grad:
                parameter += 0.3


def adapt(
    base: torch.nn.Module, folder: Path, named: object, merged: Path, **settings: Any
) -> Path:
    """Save an adapter on ``base`` into ``folder``, and the model it makes into ``merged``."""
    model = peft.get_peft_model(base, peft.LoraConfig(**settings))
    random_weights(model)
    model.peft_config["default"].base_model_name_or_path = str(named)
    model.save_pretrained(folder)
    model.merge_and_unload().save_pretrained(merged)
    return folder


def close(one: Heads, other: Heads, tolerance: float = 1e-12) -> None:
    assert one.layers.keys() == other.layers.keys()
    for layer in one.layers:
        for name in ("value", "output", "value_constant"):
            a, b = (getattr(h.layers[layer], name) for h in (one, other))
            np.testing.assert_allclose(a, b, atol=tolerance, rtol=0)
    assert np.allclose(
        one.readout.steps[0].tensors["weight"], other.readout.steps[0].tensors["weight"]
    )


@pytest.fixture
def clip64(tiny_clip: Path, tmp_path: Path) -> Path:
    """The tiny CLIP in float64, so that nothing of a merge is rounded away."""
    folder = tmp_path / "base"
    shutil.copytree(tiny_clip, folder)
    transformers.CLIPModel.from_pretrained(tiny_clip).double().save_pretrained(folder)
    return folder


Adapted = Callable[..., tuple[Path, Path]]


@pytest.fixture
def adapter(clip64: Path, tmp_path: Path) -> Adapted:
    """A LoRA on the tiny CLIP: the adapter's folder and the merged model's."""

    def make(**settings: Any) -> tuple[Path, Path]:
        base = transformers.CLIPModel.from_pretrained(clip64, dtype=torch.float64)
        made = {"r": 3, "lora_alpha": 5, "target_modules": ATTENTION, **settings}
        merged = tmp_path / "merged"
        return adapt(base, tmp_path / "tuned", clip64, merged, **made), merged

    return make


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "patterns": {
        "rank_pattern": {"v_proj": 2, "layers.1.self_attn.out_proj": 5},
        "alpha_pattern": {r"layers\.[23]\.self_attn\.v_proj": 9, "out_proj": 2},
    },
    "all biases": {"bias": "all"},
    "own biases": {"bias": "lora_only"},
    "LoRA's biases": {"lora_bias": True},
    "gaussian": {"init_lora_weights": "gaussian"},
    "everything": {"target_modules": [*ATTENTION, "fc1", "patch_embedding", "token_embedding"]},
    "modules in full": {"modules_to_save": ["post_layernorm", "visual_projection"]},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_folds_as_peft_merges(name: str, adapter: Adapted) -> None:
    tuned, merged = adapter(**SETTINGS[name])
    found, base = fold(str(tuned), dtype="float64"), open_model(str(merged.with_name("base")))
    close(found, fold(str(merged), dtype="float64"))
    assert found.model.name == "tuned"
    assert (
        np.abs(found.layers[2].value - fold(base, "2", dtype="float64").layers[2].value).max()
        > 1e-3
    )
    opened, whole = open_model(str(tuned)), open_model(str(merged))
    assert found.model.layers[1] == layer_digest(opened.layer(1), opened.heads)
    text, reference = open_model(str(tuned), tower="text"), open_model(str(merged), tower="text")
    torch.testing.assert_close(text.layer(1).value_weight, reference.layer(1).value_weight)
    for tensor in whole.checkpoint.names():  # all of them, whatever folding reads
        torch.testing.assert_close(
            opened.checkpoint.read(tensor), whole.checkpoint.read(tensor), atol=1e-12, rtol=0
        )
        assert opened.checkpoint.shape(tensor) == whole.checkpoint.shape(tensor)
        part = slice(1, 3)
        if len(opened.checkpoint.shape(tensor)):
            rows = opened.checkpoint.read(tensor, part)
            whole_tensor = opened.checkpoint.read(tensor)
            torch.testing.assert_close(rows, whole_tensor[part], atol=1e-14, rtol=0)


def test_an_old_pickled_adapter_and_its_weights_as_model(adapter: Adapted) -> None:
    tuned, merged = adapter()
    torch.save(load_file(tuned / "adapter_model.safetensors"), tuned / "adapter_model.bin")
    named = fold(str(tuned / "adapter_model.safetensors"), "0", dtype="float64")
    (tuned / "adapter_model.safetensors").unlink()
    close(named, fold(str(tuned), "0", dtype="float64"))
    close(named, fold(str(merged), "0", dtype="float64"))


@pytest.mark.parametrize("name", ["transformers-vit-classifier", "transformers-dinov2"])
def test_transformers_two_spellings(name: str, tmp_path: Path) -> None:
    """On disk other names than those that peft sees in memory; and a classifier of its own."""
    ZOO[name].make(tmp_path / "base")
    base = getattr(transformers, ZOO[name].model).from_pretrained(tmp_path / "base")
    settings = {"target_modules": VIT, "modules_to_save": ["classifier"], "lora_alpha": 32}
    tuned = adapt(base, tmp_path / "tuned", "../base", tmp_path / "merged", **settings)
    close(fold(str(tuned), dtype="float64"), fold(str(tmp_path / "merged"), dtype="float64"), 1e-6)
    pixels = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(
        load_encoder(str(tuned)).encode_pixels(pixels),
        load_encoder(str(tmp_path / "merged")).encode_pixels(pixels),
        atol=1e-5,
        rtol=1e-5,
    )


def test_a_new_classifier_on_a_model_without_one(tmp_path: Path, run: Run) -> None:
    ZOO["transformers-vit"].make(tmp_path / "base")
    base = transformers.ViTForImageClassification.from_pretrained(tmp_path / "base", num_labels=7)
    tuned = adapt(
        base,
        tmp_path / "tuned",
        tmp_path / "base",
        tmp_path / "merged",
        target_modules=VIT,
        modules_to_save=["classifier"],
    )
    close(fold(str(tuned), dtype="float64"), fold(str(tmp_path / "merged"), dtype="float64"), 1e-6)
    pixels = torch.randn(2, 3, 32, 32)
    found = load_encoder(str(tuned)).encode_pixels(pixels)
    reference = load_encoder(str(tmp_path / "merged")).encode_pixels(pixels)
    torch.testing.assert_close(found, reference, atol=1e-5, rtol=1e-5)
    result = run("edit", tuned, "--set", "1.0.0=0", "-o", tmp_path / "edited")
    assert result.exit_code == 3
    assert "brings a tensor that its base lacks (classifier.bias)" in result.stderr
    assert not (tmp_path / "edited").exists()


def test_one_tower_of_two(clip64: Path, tmp_path: Path) -> None:
    """A CLIPVisionModel's adapter: its names are in both towers of the base, its class in one."""
    tower = transformers.CLIPVisionModel.from_pretrained(clip64, dtype=torch.float64)
    tuned = adapt(tower, tmp_path / "tuned", clip64, tmp_path / "merged", target_modules=["v_proj"])
    found, reference = (fold(str(p), dtype="float64") for p in (tuned, tmp_path / "merged"))
    for layer in reference.layers:
        np.testing.assert_allclose(
            found.layers[layer].value, reference.layers[layer].value, atol=1e-12
        )
    settings = json.loads((tuned / "adapter_config.json").read_text())
    (tuned / "adapter_config.json").write_text(json.dumps({**settings, "auto_mapping": None}))
    with pytest.raises(InputError, match=r"may be any of text_model\..*vision_model\."):
        open_model(str(tuned))


def of_open_clip(name: str, targets: list[str], folder: Path) -> Any:
    """An adapter of an OpenCLIP model's vision tower, saved; and the wrapped model."""
    import open_clip

    ZOO[name].make(folder / "base")
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder / 'base'}")
    wrapped = peft.get_peft_model(model.visual, peft.LoraConfig(r=2, target_modules=targets))
    random_weights(wrapped)
    wrapped.peft_config["default"].base_model_name_or_path = str(folder / "base")
    wrapped.save_pretrained(folder / "tuned")
    return model, wrapped


def test_open_clip(tmp_path: Path) -> None:
    model, wrapped = of_open_clip("open_clip-trunk", ["qkv", "proj"], tmp_path)
    model.visual = wrapped.merge_and_unload()
    shutil.copytree(tmp_path / "base", tmp_path / "merged")
    state = {n: t.contiguous() for n, t in model.state_dict().items()}
    save_file(state, tmp_path / "merged" / "open_clip_model.safetensors")
    tuned, merged = str(tmp_path / "tuned"), str(tmp_path / "merged")
    close(fold(tuned, dtype="float64"), fold(merged, dtype="float64"), 1e-6)
    pixels = torch.randn(2, 3, 160, 160)
    found, reference = (load_encoder(m).encode_pixels(pixels) for m in (tuned, merged))
    torch.testing.assert_close(found, reference, atol=1e-5, rtol=1e-5)


def test_one_tower_whose_names_are_the_others(tmp_path: Path) -> None:
    """OpenCLIP's vision tower alone has the names that the text tower has in the whole model."""
    _, wrapped = of_open_clip("open_clip-vit", ["c_fc"], tmp_path)
    opened, base = (
        open_model(str(tmp_path / "tuned")),
        Checkpoint(tmp_path / "base" / "open_clip_model.safetensors"),
    )
    layer = wrapped.base_model.model.transformer.resblocks[1].mlp.c_fc
    name = "transformer.resblocks.1.mlp.c_fc.weight"
    change = opened.checkpoint.read(f"visual.{name}") - base.read(f"visual.{name}")
    torch.testing.assert_close(change, layer.get_delta_weight("default").double())
    assert torch.equal(opened.checkpoint.read(name), base.read(name))


def test_torchs_own_attention_is_refused(tmp_path: Path) -> None:
    of_open_clip("open_clip-vit", ["attn"], tmp_path)
    with pytest.raises(InputError, match="torch's own multi-head attention"):
        open_model(str(tmp_path / "tuned"))


def test_half_a_base(tiny_clip: Path, tmp_path: Path) -> None:
    base = transformers.CLIPModel.from_pretrained(tiny_clip, dtype=torch.float16)
    shutil.copytree(tiny_clip, tmp_path / "base")
    base.save_pretrained(tmp_path / "base")
    merged = tmp_path / "merged"
    tuned = adapt(base, tmp_path / "tuned", tmp_path / "base", merged, target_modules=ATTENTION)
    close(fold(str(tuned), dtype="float64"), fold(str(merged), dtype="float64"), 2e-3)
    opened, whole = Checkpoint(merged / "model.safetensors"), open_model(str(tuned)).checkpoint
    for name in opened.names():
        assert whole.stored(name).dtype == opened.stored(name).dtype
        torch.testing.assert_close(whole.stored(name), opened.stored(name), atol=1e-3, rtol=1e-3)


def test_the_whole_way(
    adapter: Adapted, run: Run, tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fold, svd --minus, edit, and the encoder, with the base named from the adapter's folder."""
    tuned, merged = adapter()
    config = json.loads((tuned / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "../base"
    (tuned / "adapter_config.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path / "merged")
    for name in ("base", "tuned"):
        assert run("fold", tmp_path / name, "-o", tmp_path / f"{name}.safetensors").exit_code == 0
    folded = load(tmp_path / "tuned.safetensors", Heads)
    assert folded.history[0]["parameters"]["model"] == "tuned"
    minus = ("--minus", tmp_path / "base.safetensors", "-o", tmp_path / "d.safetensors")
    assert run("svd", tmp_path / "tuned.safetensors", *minus).exit_code == 0
    result = run("edit", tuned, "--set", "4.0.0=0.5", "--set", "3.1.2=0", "-o", tmp_path / "a")
    assert result.exit_code == 0, result.output
    assert (
        run(
            "edit", merged, "--set", "4.0.0=0.5", "--set", "3.1.2=0", "-o", tmp_path / "b"
        ).exit_code
        == 0
    )
    one, other = (Checkpoint(tmp_path / n / "model.safetensors") for n in "ab")
    for name in other.names():
        torch.testing.assert_close(one.read(name), other.read(name), atol=1e-9, rtol=0)
    from PIL import Image

    images = [Image.open(path) for path in sorted(pictures.iterdir())]
    shutil.copy(tmp_path / "base" / "preprocessor_config.json", merged)
    found = F.normalize(load_encoder(str(tuned)).encode_images(images), dim=-1)
    reference = F.normalize(load_encoder(str(merged)).encode_images(images), dim=-1)
    torch.testing.assert_close(found, reference, atol=1e-5, rtol=1e-5)


def test_a_changed_base_is_seen(adapter: Adapted) -> None:
    from sithctl.commands.chain import Chain
    from sithctl.stages.options import Options

    tuned, merged = adapter()
    chain = Chain(str(tuned), None, None, Options())
    first = chain._model_digest()
    assert first == chain._model_digest()
    base = merged.with_name("base")
    model = roughen(transformers.CLIPModel.from_pretrained(base), 9)
    model.save_pretrained(base)
    second = chain._model_digest()
    assert first != second
    tensors = load_file(tuned / "adapter_model.safetensors")
    save_file({n: 2 * t for n, t in tensors.items()}, tuned / "adapter_model.safetensors")
    assert chain._model_digest() not in (first, second)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "dora": ({"use_dora": True}, "not supported: DoRA"),
    "type": ({"peft_type": "IA3"}, "an adapter of the type IA3"),
    "pissa": ({"init_lora_weights": "pissa"}, "changed its base"),
    "layers": ({"layer_replication": [[0, 1]]}, "replicated layers"),
    "alpha": ({"lora_alpha": None}, "no LoRA's config"),
    "rank": ({"r": 7}, "rank 3 and 3 where the config says 7"),
    "nobody": ({"base_model_name_or_path": None}, "does not say what it was made for"),
    "nowhere": ({"base_model_name_or_path": "nowhere"}, "correct its base_model_name_or_path"),
    "itself": ({"base_model_name_or_path": "../tuned"}, "an adapter of an adapter"),
    "another": ({"base_model_name_or_path": "scenes-vit"}, "does not fit its base: no place for"),
    "smaller": ({"base_model_name_or_path": "scenes"}, "in the adapter and (128, 128) in its base"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, adapter: Adapted, run: Run) -> None:
    changes, message = REFUSED[name]
    tuned, _ = adapter()
    path = tuned / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    result = run("fold", tuned, "--layers", "0", "-o", tuned.with_name("out.safetensors"))
    assert result.exit_code == 3
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_damaged_adapters(adapter: Adapted, run: Run) -> None:
    tuned, merged = adapter()
    weights = tuned / "adapter_model.safetensors"
    tensors = load_file(weights)
    first = next(iter(tensors))
    for damaged, message in (
        ({n: t for n, t in tensors.items() if n != first}, "has one of lora_A and lora_B"),
        ({**tensors, first: tensors[first] / 0}, "NaN or infinite weights"),
        ({**tensors, first.replace("lora_A", "lora_magnitude_vector"): torch.ones(1)}, "no plain"),
        ({**tensors, "base_model.model.logit_bias": torch.ones(1)}, "no place for logit_bias"),
        ({**tensors, "base_model.model.logit_scale": torch.ones(4)}, "another shape"),
    ):
        save_file(damaged, weights)
        result = run("fold", tuned)
        assert (result.exit_code, len(result.stderr.splitlines())) == (3, 1)
        assert message in result.stderr
    weights.unlink()
    assert "an adapter without weights" in run("fold", tuned).stderr
    shutil.copy(merged / "model.safetensors", tuned)
    assert "a model and an adapter in one folder" in run("fold", tuned).stderr


def test_weights_stored_the_other_way_round(adapter: Adapted) -> None:
    """fan_in_fan_out: (α/r) B A turned, as transformers' Conv1D stores its weight."""
    tuned, merged = adapter()
    straight, path = open_model(str(tuned)), tuned / "adapter_config.json"
    base = open_model(str(merged.with_name("base")))
    path.write_text(json.dumps({**json.loads(path.read_text()), "fan_in_fan_out": True}))
    turned = open_model(str(tuned))
    for layer in (0, 4):
        name = straight.output_names(layer).weight
        one, other, before = (m.checkpoint.read(name) for m in (straight, turned, base))
        torch.testing.assert_close(other - before, (one - before).T)
