"""Pictures from files through a ViT-B/32: decoding in threads beside the model, against the model
alone on pictures that are decoded already."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import save_file

from sithctl.models.encoders import load_encoder
from sithctl.sources.images import Wanted
from sithctl.sources.open import open_images
from sithctl.stages.mean import mean
from tests.bench.figures import Figure, best_of, seconds

COUNT, BATCH = 192, 32
SETTINGS = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 224, "patch_size": 32, "width": 768, "layers": 12},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 64, "heads": 1, "layers": 1},
}


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder = load_encoder(str(_model(folder / "model")), batch_size=BATCH)
        pictures = _pictures(folder / "pictures")
        source = open_images(str(pictures), Wanted())
        prepared = [encoder.prepare(item.image) for item in source]
        best = best_of(
            {
                "files": lambda: mean(open_images(str(pictures), Wanted()), encoder),
                "model": lambda: encoder.encode_prepared(prepared),
            },
            2,
        )
    of = f"{COUNT} JPEGs of 640 × 480, ViT-B/32"
    ratio = best["files"] / best["model"]
    model = f"{seconds(best['model'])} (the model alone)"
    return [Figure("mean", of, seconds(best["files"]), model, ratio, "×", 2.0, False)]


def _pictures(folder: Path) -> Path:
    """JPEGs with something in them: noise of few pixels, enlarged."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for i in range(COUNT):
        small = Image.fromarray(generator.integers(0, 255, (48, 64, 3), np.uint8))
        small.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{i:03}.jpg", quality=90)
    return folder


def _model(folder: Path) -> Path:
    import open_clip

    folder.mkdir()
    model = open_clip.CLIP(**SETTINGS)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    config = {"model_cfg": SETTINGS, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder
