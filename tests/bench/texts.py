"""Short concepts through a CLIP's text tower: sorted and trimmed, against padded to 77 tokens."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from sithctl.models.encoders import Encoder, load_encoder
from tests.bench.figures import Figure, best_of, clock, seconds

COUNT, BATCH = 256, 64
WORDS = ["cat", "dog", "red", "house", "tree", "car", "small", "water", "stone", "bird", "blue"]
SETTINGS = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 64, "layers": 1, "head_width": 32},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 512,
        "heads": 8,
        "layers": 12,
    },
}


def concepts() -> list[str]:
    """One to six common words, each one token, between the start's and the end's."""
    choice = random.Random(0)
    return [" ".join(choice.choices(WORDS, k=choice.randint(1, 6))) for _ in range(COUNT)]


def measure() -> list[Figure]:
    texts = concepts()
    with tempfile.TemporaryDirectory() as name:
        encoder = load_encoder(str(_model(Path(name))), batch_size=BATCH)
        results = {}

        def encode(trims: bool) -> None:
            encoder.trims = trims
            results[trims] = encoder.encode_text(texts)

        assert encoder.trims, "the tower's trimming was found inexact"
        best = best_of({"ours": lambda: encode(True), "plain": lambda: encode(False)}, 2, clock())
    difference = float((results[True] - results[False]).abs().max())
    longest = max(_lengths(encoder, texts))
    size = f"{COUNT} concepts of ≤ {longest} tokens, 12 layers of 512"
    ours, plain = best["ours"], best["plain"]
    return [
        Figure(
            "encode-pool", size, seconds(ours), f"{seconds(plain)} (padded)", plain / ours, "×", 10
        ),
        Figure("encode-pool's error", size, "trimmed", "padded", difference, "", 1e-5, False),
    ]


def _lengths(encoder: Encoder, texts: list[str]) -> list[int]:
    return encoder._tokenise(texts)[1]


def _model(folder: Path) -> Path:
    """A random CLIP of OpenCLIP's, with the text tower of a ViT-B/32's."""
    import open_clip

    torch.manual_seed(0)
    model = open_clip.CLIP(**SETTINGS)
    preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    document = {"model_cfg": SETTINGS, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder
