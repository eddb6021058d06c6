"""Small models made and saved by the real libraries, golden values, and a command-line runner."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GOMP_SPINCOUNT"] = "1000"  # as the program has it: before torch is loaded

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner, Result

# The same examples every time: a run that fails must fail again.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache for the whole run, never the user's."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SITHCTL_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.delenv("SITHCTL_MODEL", raising=False)
    patch.setenv("COLUMNS", "100")
    patch.setenv("NO_COLOR", "1")
    patch.setenv("LC_ALL", "C.UTF-8")
    patch.setenv("TERM", "dumb")
    yield
    patch.undo()


@pytest.fixture(scope="session")
def small_clip() -> Path:
    return GOLDEN / "small-clip"


@pytest.fixture(scope="session")
def small_dinov2() -> Path:
    return GOLDEN / "small-dinov2"


@pytest.fixture(scope="session")
def golden() -> dict[str, Tensor]:
    return load_file(GOLDEN / "small-clip" / "golden.safetensors")


@pytest.fixture(scope="session")
def golden_dinov2() -> dict[str, Tensor]:
    return load_file(GOLDEN / "small-dinov2" / "golden.safetensors")


def roughen(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Give norms, biases and LayerScale values that matter: libraries start them at 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformers CLIPModel directory with random weights, tokenizer and image processor."""
    from transformers import CLIPConfig, CLIPModel

    from sithctl.scenes.model import build_processor, build_tokenizer

    tokenizer = build_tokenizer()
    torch.manual_seed(3)
    width = {"hidden_size": 48, "intermediate_size": 64, "num_attention_heads": 3}
    config = CLIPConfig(
        text_config={
            **width,
            "num_hidden_layers": 2,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 20,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={**width, "num_hidden_layers": 5, "image_size": 48, "patch_size": 16},
        projection_dim=24,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-clip"
    roughen(CLIPModel(config), 4).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    build_processor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_open_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OpenCLIP directory with random weights, LayerScale and a 77-token text tower."""
    import open_clip
    from safetensors.torch import save_file

    settings = {
        "embed_dim": 24,
        "vision_cfg": {
            "image_size": 32,
            "patch_size": 8,
            "width": 48,
            "layers": 2,
            "head_width": 12,
            "ls_init_value": 0.7,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 2,
        },
    }
    folder = tmp_path_factory.mktemp("models") / "tiny-open-clip"
    folder.mkdir()
    torch.manual_seed(5)
    model = roughen(open_clip.CLIP(**settings), 6)
    preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    document = {"model_cfg": settings, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of twelve rendered pictures."""
    from PIL import Image

    from sithctl.scenes.world import draw

    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, picture in enumerate(draw(12, 5).pictures()):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{i:02}.png")
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Products of several threads may round otherwise than those of another process's one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Run a command in this process: ``run("explain", "--layer", 5)``."""
    from sithctl.commands.app import app

    def call(*arguments: object, stdin: bytes | None = None) -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, words, input=stdin, prog_name="sithctl")

    return call


Shell = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run a line of bash in a folder of its own, with this installation's ``sithctl``."""

    def call(line: str, **more: object) -> subprocess.CompletedProcess[bytes]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=300,
            check=False,
            **more,  # type: ignore[call-overload]
        )

    return call
