"""A random ViT-L/14 CLIP checkpoint on disk: transformers' names and shapes, float32, 1.7 GB."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "patch_size": 14,
    "image_size": 224,
}
TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}


def make(folder: Path, text_layers: int = 12, **vision: int) -> Path:
    """Write the model's directory, a tensor at a time; returns the weights' file.

    Args:
        folder: is made.
        text_layers: of the text tower.
        vision: instead of ViT-L/14's own settings.
    """
    import torch
    from transformers import CLIPConfig, CLIPModel

    config = CLIPConfig(
        vision_config={**VISION, **vision},
        text_config={**TEXT, "num_hidden_layers": text_layers},
        projection_dim=768,
    )
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in CLIPModel(config).named_parameters()}
    config.save_pretrained(folder)
    entries, stop = {}, 0
    for name, shape in shapes.items():
        start, stop = stop, stop + 4 * int(np.prod(shape))
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, stop]}
    head = json.dumps(entries).encode()
    head += b" " * (-len(head) % 8)
    generator = np.random.default_rng(0)
    path = folder / "model.safetensors"
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for shape in shapes.values():
            values = 0.03 * generator.standard_normal(shape, np.float32)
            file.write(np.ascontiguousarray(values, np.float32).data)
    return path
