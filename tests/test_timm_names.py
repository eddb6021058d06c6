"""timm's names: on the hub, in a directory, and wrong ones."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
import timm
from PIL import Image

from sithctl.errors import InputError
from sithctl.models import load_encoder, open_model
from sithctl.stages.fold import fold
from tests.zoo import roughen


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub that has one model, as timm publishes them."""
    folder = tmp_path / "snapshot"
    model = roughen(timm.create_model("test_vit", num_classes=3))
    timm.models.save_for_hf(model, str(folder), safe_serialization=True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(folder))
    return folder


@pytest.mark.parametrize(
    "name", ["timm:test_vit.r160_in1k", "timm:test_vit", "timm:hf-hub:timm/x", "timm/test_vit.r160"]
)
def test_names_on_the_hub(name: str, hub: Path) -> None:
    model = open_model(name)
    assert (model.location.library, model.name) == ("timm", name)
    assert (fold(model).layers[0].value == fold(str(hub)).layers[0].value).all()


def test_a_directory_encodes_images(hub: Path) -> None:
    encoder = load_encoder(str(hub))
    images = [Image.effect_noise((90, 70), 80).convert("RGB") for _ in range(2)]
    features = encoder.encode_images(images)
    assert features.shape == (2, open_model(str(hub)).readout.features)
    with pytest.raises(InputError, match="no text tower"):
        encoder.encode_text(["red"])


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("timm:vit_base_patch16_225", "nearest: .*vit_base_patch16_224"),
        ("timm:vit_base_patch16_224.nothing", "no weights on the hub.*augreg"),
    ],
)
def test_wrong_names(name: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        open_model(name)
