"""The check that settles the folding: with one token the attention weight is 1, so differences of
a block's attention outputs are differences of its normalised inputs times Σ A_h B_h."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sithctl.models import open_model
from sithctl.models.readout import read_out
from sithctl.stages.fold import fold

Attend = Callable[[int, Tensor], Tensor]  # layer, (n, 1, width) → what attention adds, same shape


def _transformers_clip(folder: Path) -> Attend:
    from transformers import CLIPModel

    layers = CLIPModel.from_pretrained(folder).double().vision_model.encoder.layers

    def attend(layer: int, x: Tensor) -> Tensor:
        block = layers[layer]
        return block.self_attn(block.layer_norm1(x))[0]

    return attend


def _open_clip(folder: Path) -> Attend:
    import open_clip

    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    blocks = model.double().eval().visual.transformer.resblocks

    def attend(layer: int, x: Tensor) -> Tensor:
        block = blocks[layer]
        return block.ls_1(block.attention(block.ln_1(x)))

    return attend


def _dinov2(folder: Path) -> Attend:
    from transformers import Dinov2Model

    layers = Dinov2Model.from_pretrained(folder).double().eval().encoder.layer

    def attend(layer: int, x: Tensor) -> Tensor:
        block = layers[layer]
        out = block.attention(block.norm1(x))
        return block.layer_scale1(out if isinstance(out, Tensor) else out[0])

    return attend


CASES = {
    "tiny_clip": _transformers_clip,
    "tiny_open_clip": _open_clip,
    "small_clip": _open_clip,
    "small_dinov2": _dinov2,
}


@pytest.mark.parametrize("case", CASES)
def test_attention_of_one_token(case: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(case)
    attend, heads, model = CASES[case](folder), fold(str(folder), dtype="float64"), None
    model = open_model(str(folder))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 1, model.width, generator=generator, dtype=torch.float64)
    for layer, factors in heads.layers.items():
        with torch.no_grad():
            out = attend(layer, x)[:, 0]
        difference = out[0] - out[1]
        difference = difference - difference.mean()
        normalised = F.layer_norm(x[:, 0], (model.width,), eps=model.epsilon)
        vo = torch.from_numpy(np.einsum("hwd,hdv->wv", factors.value, factors.output))
        ours = (normalised[0] - normalised[1]) @ vo
        torch.testing.assert_close(ours, difference, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_what_a_head_writes_whatever_it_reads(case: str, request: pytest.FixtureRequest) -> None:
    """With the constant, not only the difference but the whole output is Σ (x A_h + cv_h) B_h, but
    for the output bias."""
    folder: Path = request.getfixturevalue(case)
    attend, heads = CASES[case](folder), fold(str(folder), dtype="float64")
    model = open_model(str(folder))
    x = torch.randn(1, 1, model.width, dtype=torch.float64)
    shift = torch.zeros_like(x)
    for layer, factors in heads.layers.items():
        weights = model.layer(layer)
        with torch.no_grad():
            out = attend(layer, x + shift)[0, 0]
        normalised = F.layer_norm(x[0, 0], (model.width,), eps=model.epsilon)
        value, output, constant = (
            torch.from_numpy(a) for a in (factors.value, factors.output, factors.value_constant)
        )
        read = torch.einsum("w,hwd->hd", normalised, value) + constant
        written = torch.einsum("hd,hdw->w", read, output)
        rest = out - out.mean() - written
        other = torch.randn(1, 1, model.width, dtype=torch.float64)
        with torch.no_grad():
            out = attend(layer, other)[0, 0]
        normalised = F.layer_norm(other[0, 0], (model.width,), eps=model.epsilon)
        read = torch.einsum("w,hwd->hd", normalised, value) + constant
        written = torch.einsum("hd,hdw->w", read, output)
        torch.testing.assert_close(out - out.mean() - written, rest, atol=1e-8, rtol=1e-6)
        bias = _output_bias(model.checkpoint, layer)
        if weights.layer_scale is not None:
            bias = bias * weights.layer_scale
        torch.testing.assert_close(rest, bias - bias.mean(), atol=1e-7, rtol=1e-6)


def _output_bias(checkpoint: object, layer: int) -> Tensor:
    endings = ("out_proj.bias", "attention.output.dense.bias")
    names = [
        n
        for n in checkpoint.names()  # type: ignore[attr-defined]
        if n.endswith(endings) and f".{layer}." in n and not n.startswith(("text", "transformer."))
    ]
    assert len(names) == 1, names
    return checkpoint.read(names[0])  # type: ignore[attr-defined]


def test_read_out_is_the_models_own_head(tiny_clip: Path, tiny_open_clip: Path) -> None:
    """Our read-out of a vector is the model's final norm and projection of a single token."""
    from transformers import CLIPModel

    vectors = F.normalize(torch.randn(5, 48), dim=-1)
    clip = CLIPModel.from_pretrained(tiny_clip)
    with torch.no_grad():
        theirs = clip.visual_projection(clip.vision_model.post_layernorm(vectors))
    ours = read_out(vectors, open_model(str(tiny_clip)).readout)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)

    import open_clip

    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{tiny_open_clip}")
    with torch.no_grad():
        theirs = model.visual.ln_post(vectors) @ model.visual.proj
    ours = read_out(vectors, open_model(str(tiny_open_clip)).readout)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
