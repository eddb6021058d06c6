"""A live edited model does what the written one does, and is itself again afterwards."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Run
from torch import Tensor

from sithctl.errors import InputError
from sithctl.kinds import Change, Plan
from sithctl.models import load_encoder, open_model
from sithctl.models.live import edited
from sithctl.models.spellings import same_tensor
from sithctl.stages.edit import edit
from tests.zoo import ZOO

NAMES = (
    "transformers-clip",
    "transformers-vit-classifier",
    "transformers-dinov2",
    "transformers-dinov3",
    "transformers-beit-masked",
    "transformers-siglip-classifier",
    "transformers-llava",
    "timm-vit-qk-norm",
    "timm-beit",
    "open_clip-layer-scale",
    "open_clip-trunk-mlp",
)

Saved = Callable[[str], Path]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    def get(name: str) -> Path:
        return ZOO[name].make(tmp_path_factory.mktemp("live") / name).folder

    return get


def pixels(name: str) -> Tensor:
    side = getattr(ZOO[name], "side", 32)
    return torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", NAMES)
def test_it_does_what_the_written_model_does(
    name: str, saved: Saved, run: Run, tmp_path: Path
) -> None:
    folder = str(saved(name))
    result = run("edit", folder, "--set", "1.0.0=-1", "--set", "0.1.1=3", "-o", tmp_path / "new")
    assert result.exit_code == 0, result.output
    encoder, model = load_encoder(folder), open_model(folder)
    plan = Plan.of([Change(1, 0, 0, -1.0), Change(0, 1, 1, 3.0)])
    before = {n: t.clone() for n, t in encoder.tensors().items()}
    plain = encoder.encode_pixels(pixels(name))
    with edited(encoder, model, edit(model, plan).changed):
        live = encoder.encode_pixels(pixels(name))
    written = load_encoder(str(tmp_path / "new")).encode_pixels(pixels(name))
    torch.testing.assert_close(live, written, atol=1e-5, rtol=1e-5)
    assert (live - plain).abs().max() > 1e-4
    assert all(torch.equal(t, before[n]) for n, t in encoder.tensors().items())


def test_its_own_bits_come_back_after_a_failure(tiny_clip: Path) -> None:
    encoder, model = load_encoder(str(tiny_clip)), open_model(str(tiny_clip))
    changed = edit(model, Plan.of([Change(4, 0, 0, 0.0)])).changed
    before = {n: t.clone() for n, t in encoder.tensors().items()}

    def fail() -> None:
        with edited(encoder, model, changed):
            assert any(not torch.equal(t, before[n]) for n, t in encoder.tensors().items())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert all(torch.equal(t, before[n]) for n, t in encoder.tensors().items())


def test_low_precision(tiny_clip: Path) -> None:
    encoder, model = load_encoder(str(tiny_clip), dtype="bfloat16"), open_model(str(tiny_clip))
    (weight, *_) = (changed := edit(model, Plan.of([Change(4, 0, 0, 0.0)])).changed)
    with edited(encoder, model, changed):
        assert torch.equal(encoder.tensors()[weight], changed[weight].bfloat16())
    assert torch.equal(
        encoder.tensors()[weight], model.checkpoint.stored(weight).to(torch.bfloat16)
    )
    half = load_encoder(str(tiny_clip), dtype="float16")
    huge = {weight: torch.full_like(changed[weight], 1e6)}
    with pytest.raises(InputError, match="more than float16 can hold"), edited(half, model, huge):
        pass


def test_another_models_encoder_is_refused(tiny_clip: Path) -> None:
    encoder, model = load_encoder(str(tiny_clip)), open_model(str(tiny_clip))
    changed = edit(model, Plan.of([Change(4, 0, 0, 0.0)])).changed
    other = copy.copy(encoder)
    other.model = copy.deepcopy(encoder.model)
    (weight, *_) = changed
    with torch.no_grad():
        other.tensors()[weight][0, 0] += 1
    with (
        pytest.raises(InputError, match=r"holds no tensor that is .*out_proj\.weight"),
        edited(other, model, changed),
    ):
        pass


def test_a_tensor_of_another_name_is_found_by_its_values(tiny_clip: Path) -> None:
    encoder, model = load_encoder(str(tiny_clip)), open_model(str(tiny_clip))
    changed = edit(model, Plan.of([Change(4, 0, 0, 0.0)])).changed
    held = {f"parameter{i}": t for i, t in enumerate(encoder.tensors().values())}
    encoder.tensors = lambda: held  # type: ignore[method-assign]
    pixels = torch.randn(1, 3, 48, 48)
    plain = encoder.encode_pixels(pixels)
    with edited(encoder, model, changed):
        assert (encoder.encode_pixels(pixels) - plain).abs().max() > 1e-4
    torch.testing.assert_close(encoder.encode_pixels(pixels), plain, atol=0, rtol=0)
    stored = model.checkpoint.stored(next(iter(changed)))
    held["twin"] = next(t for t in held.values() if torch.equal(t, stored)).clone()
    with pytest.raises(InputError, match="holds no tensor"), edited(encoder, model, changed):
        pass


@pytest.mark.parametrize(
    ("name", "names", "found"),
    [
        ("a.b", ["a.b", "x.a.b"], ["a.b"]),
        ("a.b", ["x.a.b", "y.a.b", "xa.b"], ["x.a.b", "y.a.b"]),
        ("x.a.b", ["a.b", "b"], ["a.b"]),
        (
            "layers.3.mlp.fc2.bias",
            ["vit.encoder.layer.3.output.dense.bias", "vit.encoder.layer.13.output.dense.bias"],
            ["vit.encoder.layer.3.output.dense.bias"],
        ),
        (
            "dinov2.encoder.layer.0.attention.o_proj.weight",
            ["encoder.layer.0.attention.output.dense.weight"],
            ["encoder.layer.0.attention.output.dense.weight"],
        ),
        ("a.b", ["c.d"], []),
    ],
)
def test_names_that_mean_the_same(name: str, names: list[str], found: list[str]) -> None:
    assert same_tensor(name, names) == found
