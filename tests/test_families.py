"""Every family of the table against the real library's module: what single tokens' attention
writes, what the model's own head makes of a vector, and the encoder's features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.models import load_encoder, open_model
from sithctl.models.readout import read_out
from sithctl.stages.fold import fold
from tests.zoo import ZOO, Made

Saved = Callable[[str], Made]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    made: dict[str, Made] = {}

    def get(name: str) -> Made:
        if name not in made:
            made[name] = ZOO[name].make(tmp_path_factory.mktemp("zoo") / name)
        return made[name]

    return get


def _tower(name: str) -> str:
    return getattr(ZOO[name], "tower", "vision")


@pytest.mark.parametrize("name", ZOO)
def test_attention_of_one_token(name: str, saved: Saved) -> None:
    made = saved(name)
    model = open_model(str(made.folder), tower=_tower(name))
    heads = fold(model, dtype="float64")
    assert len(heads.layers) == model.layers
    x = torch.randn(2, 1, model.width, generator=torch.Generator().manual_seed(1)).double()
    is_layer_norm = model.tower.sizes.norm == "layer-norm"
    for layer, factors in heads.layers.items():
        with torch.no_grad():
            out = made.attend(layer, x)[:, 0]
        difference = out[0] - out[1]
        if is_layer_norm:
            difference = difference - difference.mean()
            normed = F.layer_norm(x[:, 0], (model.width,), eps=model.epsilon)
        else:
            normed = F.rms_norm(x[:, 0], (model.width,), eps=model.epsilon)
        vo = torch.from_numpy(np.einsum("hwd,hdv->wv", factors.value, factors.output))
        assert difference.norm() > 1e-3
        # Some norms of transformers compute in float32 whatever they are given.
        torch.testing.assert_close((normed[0] - normed[1]) @ vo, difference, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ZOO)
def test_read_out_is_the_models_own_head(name: str, saved: Saved) -> None:
    made = saved(name)
    model = open_model(str(made.folder), tower=_tower(name))
    vectors = F.normalize(torch.randn(5, model.width, dtype=torch.float64), dim=-1)
    with torch.no_grad():
        theirs = made.head(vectors)
    ours = read_out(vectors, model.readout)
    assert ours.shape[1] == model.readout.features
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


NAFLEX = "transformers-siglip2"  # takes patches, not pictures
IMAGES = [name for name in ZOO if _tower(name) == "vision" and name != NAFLEX]


@pytest.mark.parametrize("name", IMAGES)
def test_image_features_are_the_librarys_own(name: str, saved: Saved) -> None:
    made = saved(name)
    pixels = torch.randn(3, 3, made.side, made.side, generator=torch.Generator().manual_seed(2))
    assert made.image is not None
    with torch.no_grad():
        theirs = made.image(pixels.double())
    encoder = load_encoder(str(made.folder))
    ours = encoder.encode_pixels(pixels)
    torch.testing.assert_close(ours, theirs.float(), atol=1e-4, rtol=1e-4)
    assert ours.shape[1] == open_model(str(made.folder)).readout.features


def test_pictures_of_any_shape_go_through_siglip_2(saved: Saved) -> None:
    """Its processor makes patches, a mask and their grid: all of it goes in."""
    from PIL import Image
    from transformers import Siglip2ImageProcessor, Siglip2Model

    made = saved(NAFLEX)
    processor = Siglip2ImageProcessor(patch_size=16, max_num_patches=16)
    processor.save_pretrained(made.folder)
    image = Image.effect_noise((90, 60), 80).convert("RGB")
    model = Siglip2Model.from_pretrained(made.folder)
    with torch.no_grad():
        theirs = model.get_image_features(**processor(images=[image], return_tensors="pt"))
    ours = load_encoder(str(made.folder)).encode_images([image])
    torch.testing.assert_close(ours, theirs.pooler_output, atol=1e-5, rtol=1e-5)


@pytest.fixture
def residual() -> Callable[[torch.nn.Module], list[Tensor]]:
    def listen(layer: torch.nn.Module) -> list[Tensor]:
        heard: list[Tensor] = []
        layer.register_forward_hook(
            lambda _m, _i, out: heard.append(out if isinstance(out, Tensor) else out[0])
        )
        return heard

    return listen


@pytest.mark.parametrize(
    ("name", "last", "mean"),
    [
        ("transformers-vit-classifier", "layers.1", False),
        ("transformers-dinov2-registers", "encoder.layer.1", False),
        ("transformers-beit", "layers.1", True),
        ("transformers-clip", "vision_model.encoder.layers.1", False),
        ("timm-vit-average", "blocks.1", True),
        ("timm-dinov2-registers", "blocks.1", False),
    ],
)
def test_features_are_the_read_out_of_what_is_pooled(
    name: str,
    last: str,
    mean: bool,
    saved: Saved,
    residual: Callable[[torch.nn.Module], list[Tensor]],
) -> None:
    """Where pooling comes before the norm, a real picture's feature is our read-out of the pooled
    residual stream: encoder and read-out mean the same space."""
    made = saved(name)
    encoder = load_encoder(str(made.folder))
    module: torch.nn.Module = encoder.model  # type: ignore[attr-defined]
    heard = residual(module.get_submodule(last))
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    features = encoder.encode_pixels(pixels)
    tokens = heard[-1]
    pooled = tokens[:, 1:].mean(1) if mean else tokens[:, 0]
    ours = read_out(pooled, open_model(str(made.folder)).readout)
    torch.testing.assert_close(ours, features, atol=1e-4, rtol=1e-4)


def test_the_table_has_a_test_for_every_family(saved: Saved) -> None:
    from sithctl.models.families import FAMILIES
    from sithctl.models.transformers_families import BERT_TEXT

    seen = {open_model(str(saved(n).folder), tower=_tower(n)).family.name for n in ZOO}
    assert seen == {family.name for family in FAMILIES if family is not BERT_TEXT}
