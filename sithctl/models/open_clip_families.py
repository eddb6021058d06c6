"""Families that OpenCLIP and timm write: their trunks are the same."""

from __future__ import annotations

from dataclasses import replace

from sithctl.models.family import Family
from sithctl.models.names import (
    Layout,
    LinearPart,
    Matrix,
    MlpPart,
    linear,
    norm,
    optional_norm,
    packed,
    pooling_head,
)

BLOCK = "transformer.resblocks.{l}."
OPEN_CLIP_LAYERS = (
    Layout(
        BLOCK + "ln_1",
        packed(BLOCK + "attn"),
        linear(BLOCK + "attn.out_proj"),
        (BLOCK + "ls_1.gamma",),
        (BLOCK + "ln_1.bias", BLOCK + "attn.in_proj_bias"),
    ),
)

OPEN_CLIP = Family(
    name="OpenCLIP ViT, CoCa",
    library="open_clip",
    layouts=OPEN_CLIP_LAYERS,
    readout=(
        optional_norm("attn_pool.ln_k"),
        LinearPart(packed("attn_pool.attn"), "attn_pool.attn.in_proj_weight"),
        # Where pooled features are narrower than the width, torch keeps the three maps apart.
        LinearPart(
            Matrix("attn_pool.attn.v_proj_weight", (("attn_pool.attn.in_proj_bias", 3),)),
            "attn_pool.attn.v_proj_weight",
        ),
        LinearPart(linear("attn_pool.attn.out_proj"), "attn_pool.query"),
        norm("ln_post"),
        LinearPart(Matrix("proj", transposed=True)),
    ),
    sizes={
        "layers": "layers",
        "width": "width",
        "head_width": "head_width",
        "epsilon": "norm_kwargs.eps",
    },
    within="vision_cfg",
    prefixes=("visual.",),
    defaults={"layers": 12, "width": 768, "head_width": 64, "epsilon": 1e-5},
    refused={
        "visual.attn_pool_contrastive.": "two attention-pooling heads",
        "visual.layer1.": "a ResNet",
        ".ln_attn.": "a norm after the heads' sum",
        ".ln_inner.": "a norm between value and output",
        ".head_scale": "scaled heads",
    },
    example="open_clip:ViT-L-14/laion2b_s32b_b82k",
)

OPEN_CLIP_TEXT = replace(
    OPEN_CLIP,
    name="OpenCLIP text tower",
    tower="text",
    readout=(
        norm("ln_final"),
        LinearPart(Matrix("text_projection", transposed=True), "text_projection"),
        LinearPart(linear("text_projection"), "text_projection.weight"),
    ),
    sizes={"layers": "layers", "width": "width", "heads": "heads", "epsilon": "norm_kwargs.eps"},
    within="text_cfg",
    prefixes=("", "text."),
    defaults={"layers": 12, "width": 512, "heads": 8, "epsilon": 1e-5},
    refused={
        "text.transformer.encoder.": "a text tower of Hugging Face's (norms after the sum)",
        ".ln_attn.": "a norm after the heads' sum",
        ".head_scale": "scaled heads",
    },
    example="open_clip:ViT-L-14/laion2b_s32b_b82k --tower text",
)

TIMM_BLOCK = "blocks.{l}."


def _timm_layout(value: Matrix) -> Layout:
    return Layout(
        TIMM_BLOCK + "norm1",
        value,
        linear(TIMM_BLOCK + "attn.proj"),
        (TIMM_BLOCK + "ls1.gamma", TIMM_BLOCK + "gamma_1"),
    )


_QKV, _V_BIAS = TIMM_BLOCK + "attn.qkv", TIMM_BLOCK + "attn.v_bias"
TIMM = Family(
    name="timm ViT, DeiT, DeiT3, BEiT, EVA, DINOv2, DINOv3, SigLIP",
    library="timm",
    layouts=(
        _timm_layout(Matrix(f"{_QKV}.weight", ((f"{_QKV}.bias", 3), (_V_BIAS, 1)), 3)),
        _timm_layout(linear(TIMM_BLOCK + "attn.v_proj")),
    ),
    readout=(
        optional_norm("norm"),
        *pooling_head(linear("attn_pool.kv", 2), linear("attn_pool.proj"), "attn_pool.latent"),
        MlpPart(
            linear("attn_pool.mlp.fc1"),
            linear("attn_pool.mlp.fc2"),
            "attn_pool.norm",
            "attn_pool.mlp.fc1.weight",
        ),
        optional_norm("fc_norm"),
    ),
    defaults={"epsilon": 1e-6},
    refused={
        ".attn.norm.": "a norm between value and output",
        ".inner_attn_ln.": "a norm between value and output",
        ".attn.gate.": "a gate between value and output",
    },
    example="timm:vit_base_patch16_224.augreg_in1k",
)

OPEN_CLIP_TIMM = replace(
    TIMM,
    name="OpenCLIP with a timm trunk (SigLIP, MobileCLIP-B/L, EVA, PE)",
    library="open_clip",
    readout=(
        *TIMM.readout,
        LinearPart(linear("head"), "head.weight"),
        LinearPart(linear("/visual.head.proj"), "/visual.head.proj.weight"),
        MlpPart(
            linear("/visual.head.mlp.fc1"),
            linear("/visual.head.mlp.fc2"),
            when="/visual.head.mlp.fc1.weight",
        ),
    ),
    prefixes=("visual.trunk.",),
    example="open_clip:ViT-B-16-SigLIP/webli",
)
