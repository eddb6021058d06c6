"""The file names under which libraries keep their weights; readable without torch."""

from __future__ import annotations

from pathlib import Path

# In the order in which each library itself prefers them.
WEIGHTS = {
    "transformers": (
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ),
    "timm": ("model.safetensors", "pytorch_model.bin"),
    "open_clip": (
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.safetensors",
        "open_clip_pytorch_model.bin",
        "model.safetensors",
        "pytorch_model.bin",
    ),
}


def find_weights(directory: Path, library: str) -> Path | None:
    """The file in a model's directory that the library itself would load, if there is one."""
    names = (directory / name for name in WEIGHTS[library])
    return next((path for path in names if path.exists()), None)


def usual_name(weights: Path, library: str) -> str:
    """What a library would have to find a checkpoint of any other name under, in the same format.

    >>> usual_name(Path("epoch_9.pt"), "open_clip")
    'open_clip_pytorch_model.bin'
    """
    suffix = ".safetensors" if weights.suffix == ".safetensors" else ".bin"
    return next(name for name in WEIGHTS[library] if name.endswith(suffix))
