"""Text and image features: the models' own, whatever the batch, the padding or the order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from sithctl.errors import InputError
from sithctl.kinds import Identity, Pool
from sithctl.models import load_encoder, open_model
from sithctl.sources.images import Wanted
from sithctl.sources.open import open_images
from sithctl.stages.mean import mean
from sithctl.stages.pool import encode_pool

TEXTS = ["red", "two violet rings in the forest", "a photo of a tiny checkered box", "ocean", "red"]


def test_transformers_text_features(tiny_clip: Path) -> None:
    from transformers import AutoTokenizer, CLIPModel

    encoder = load_encoder(str(tiny_clip))
    assert encoder.trims
    tokenizer, model = (
        AutoTokenizer.from_pretrained(tiny_clip),
        CLIPModel.from_pretrained(tiny_clip),
    )
    for text, ours in zip(TEXTS, encoder.encode_text(TEXTS), strict=True):
        tokens = tokenizer([text], padding="max_length", max_length=20, return_tensors="pt")
        with torch.no_grad():
            theirs = model.get_text_features(input_ids=tokens["input_ids"]).pooler_output[0]
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_open_clip_text_features(tiny_open_clip: Path) -> None:
    import open_clip

    encoder = load_encoder(str(tiny_open_clip))
    assert encoder.trims
    name = f"local-dir:{tiny_open_clip}"
    model, _, _ = open_clip.create_model_and_transforms(name)
    tokenizer = open_clip.get_tokenizer(name)
    with torch.no_grad():
        theirs = model.eval().encode_text(tokenizer(TEXTS))
    torch.testing.assert_close(encoder.encode_text(TEXTS), theirs, atol=1e-5, rtol=1e-5)


def test_trimming_leaves_the_model_as_it_was(tiny_open_clip: Path) -> None:
    encoder = load_encoder(str(tiny_open_clip))
    encoder.encode_text(["short"])
    assert encoder.model.positional_embedding.shape[0] == 77
    assert encoder.model.attn_mask.shape == (77, 77)


@pytest.mark.parametrize("model", ["tiny_clip", "tiny_open_clip"])
def test_features_do_not_depend_on_the_batch(model: str, request: pytest.FixtureRequest) -> None:
    folder = str(request.getfixturevalue(model))
    one, many = load_encoder(folder, batch_size=1), load_encoder(folder, batch_size=64)
    torch.testing.assert_close(
        one.encode_text(TEXTS), many.encode_text(TEXTS), atol=1e-5, rtol=1e-5
    )
    images = [Image.new("RGB", (60, 50), (i * 20, 90, 255 - i * 20)) for i in range(5)]
    torch.testing.assert_close(
        one.encode_images(images), many.encode_images(images), atol=1e-5, rtol=1e-5
    )


def test_images_go_through_the_models_own_preprocessing(tiny_clip: Path) -> None:
    from transformers import AutoImageProcessor, CLIPModel

    image = Image.effect_noise((90, 70), 80).convert("RGB")
    processor = AutoImageProcessor.from_pretrained(tiny_clip)
    model = CLIPModel.from_pretrained(tiny_clip)
    pixels = processor(images=[image], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        theirs = model.get_image_features(pixel_values=pixels).pooler_output
    ours = load_encoder(str(tiny_clip)).encode_images([image])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_long_texts_are_cut_and_counted(tiny_clip: Path) -> None:
    with pytest.warns(UserWarning, match="1 of 2 concepts"):
        pool = encode_pool(["red", "red " * 40], str(tiny_clip))
    assert pool.embeddings.shape == (2, 24)


def test_a_pool_knows_whose_it_is(tiny_clip: Path) -> None:
    pool = encode_pool(TEXTS[:3], str(tiny_clip))
    assert pool.model.name == "tiny-clip"
    assert pool.model.space == open_model(str(tiny_clip)).readout.space
    assert pool.concepts == TEXTS[:3]
    half = encode_pool(TEXTS[:3], str(tiny_clip), dtype="float16")
    assert half.embeddings.dtype == np.float16
    np.testing.assert_allclose(half.embeddings, pool.embeddings, atol=1e-2, rtol=1e-2)


def test_mean_of_a_folder(tiny_clip: Path, pictures: Path) -> None:
    encoder = load_encoder(str(tiny_clip))
    images = open_images(str(pictures))
    result = mean(images, encoder)
    read = [item.image for item in images]
    features = F.normalize(encoder.encode_images(read).double(), dim=-1)
    np.testing.assert_allclose(result.sum, features.sum(0), atol=1e-6)
    np.testing.assert_allclose(result.mean, features.mean(0), atol=1e-6)
    assert result.count == 12


def test_mean_of_a_data_set_on_disk_is_that_of_its_folder(
    tiny_clip: Path, pictures: Path, tmp_path: Path
) -> None:
    import datasets

    paths = sorted(pictures.iterdir())
    rows = datasets.Dataset.from_dict({"picture": [str(p) for p in paths]})
    rows = rows.cast_column("picture", datasets.Image())
    datasets.DatasetDict({"train": rows, "test": rows.select(range(2))}).save_to_disk(
        tmp_path / "set"
    )
    encoder = load_encoder(str(tiny_clip))
    folder = mean(open_images(str(pictures)), encoder)
    stored = mean(
        open_images(str(tmp_path / "set"), Wanted(split="train", image_column="picture")), encoder
    )
    np.testing.assert_array_equal(stored.sum, folder.sum)
    assert stored.history == folder.history
    with pytest.raises(InputError, match="several splits"):
        open_images(str(tmp_path / "set"))
    with pytest.raises(InputError, match="--image-column: picture"):
        open_images(str(tmp_path / "set"), Wanted(split="test"))


def test_unreadable_images_are_counted_and_skipped(tiny_clip: Path, pictures: Path) -> None:
    (pictures / "03.png").write_bytes(b"not a picture")
    images = open_images(str(pictures))
    assert mean(images, str(tiny_clip)).count == 11
    assert images.skipped == ["03.png"]


def test_mean_of_rendered_scenes_and_of_an_image_pool(tiny_clip: Path) -> None:
    encoder = load_encoder(str(tiny_clip))
    world = open_images("scenes", Wanted(limit=30, seed=4))
    features = encoder.encode_images([item.image for item in world])
    pool = Pool(
        Identity("tiny-clip", "x"), (), features.numpy(), [str(i) for i in range(30)], None, "image"
    )
    np.testing.assert_allclose(mean(pool).mean, mean(world, encoder).mean, atol=1e-6)


def test_a_text_pool_is_no_mean(tiny_clip: Path) -> None:
    with pytest.raises(InputError, match="text pool"):
        mean(encode_pool(["red"], str(tiny_clip)))


def test_a_vision_tower_with_its_projection(tiny_clip: Path, tmp_path: Path) -> None:
    """Stored alone, CLIP's vision tower reads out and encodes as it does within the whole."""
    from transformers import CLIPModel, CLIPVisionModelWithProjection

    clip = CLIPModel.from_pretrained(tiny_clip)
    clip.config.vision_config.projection_dim = clip.config.projection_dim
    tower = CLIPVisionModelWithProjection(clip.config.vision_config)
    tower.load_state_dict({n: t for n, t in clip.state_dict().items() if n in tower.state_dict()})
    tower.save_pretrained(tmp_path / "tower")
    assert (
        open_model(str(tmp_path / "tower")).readout.space
        == open_model(str(tiny_clip)).readout.space
    )
    pixels = torch.randn(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    whole = load_encoder(str(tiny_clip)).encode_pixels(pixels)
    alone = load_encoder(str(tmp_path / "tower")).encode_pixels(pixels)
    torch.testing.assert_close(alone, whole, atol=1e-5, rtol=1e-5)


def test_a_checkpoint_that_lacks_weights_is_not_filled_up_at_random(
    tiny_clip: Path, tmp_path: Path
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_clip, tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    tensors = load_file(path)
    del tensors["text_projection.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 .* text_projection.weight"):
        load_encoder(str(tmp_path / "model"))


def test_a_model_without_a_text_tower_says_so(small_dinov2: Path) -> None:
    with pytest.raises(InputError, match="no text tower"):
        load_encoder(str(small_dinov2)).encode_text(["red"])
