"""Families that transformers writes."""

from __future__ import annotations

from dataclasses import replace

from sithctl.models.family import Family
from sithctl.models.names import (
    Layout,
    LinearPart,
    MlpPart,
    linear,
    norm,
    packed,
    pooling_head,
)

POST_NORM = {"attention.output.LayerNorm": "a norm after the residual sum (a BERT)"}


SIZES = {
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "epsilon": "layer_norm_eps",
    "activation": "hidden_act",
}
TOWER_PREFIXES = ("", "vision_tower.", "model.vision_tower.", "model.visual.")


def _clip_layer(layers: str) -> Layout:
    block = layers + ".{l}."
    return Layout(
        block + "layer_norm1",
        linear(block + "self_attn.v_proj"),
        linear(block + "self_attn.out_proj"),
        always=(block + "layer_norm1.bias", block + "self_attn.v_proj.bias"),
    )


# AltCLIP's files say "layer" where all others say "layers".
CLIP_LAYERS = (_clip_layer("encoder.layers"), _clip_layer("encoder.layer"))
PROJECTION = LinearPart(linear("/visual_projection"))

CLIP_TOWER = Family(
    name="CLIP vision tower",
    library="transformers",
    model_types=("clip_vision_model", "chinese_clip_vision_model", "altclip_vision_model"),
    layouts=CLIP_LAYERS,
    readout=(
        norm("post_layernorm"),
        replace(PROJECTION, when="/visual_projection.weight"),
    ),
    sizes=SIZES,
    prefixes=("vision_model.", *TOWER_PREFIXES, "vision_tower.vision_model."),
    defaults={"epsilon": 1e-5},
    example="openai/clip-vit-large-patch14",
)

CLIP = replace(
    CLIP_TOWER,
    name="CLIP",
    model_types=("clip",),
    within="vision_config",
    readout=(norm("post_layernorm"), PROJECTION),
    prefixes=("vision_model.",),
    example="openai/clip-vit-large-patch14",
)

CHINESE_CLIP = replace(
    CLIP,
    name="Chinese-CLIP",
    model_types=("chinese_clip",),
    example="OFA-Sys/chinese-clip-vit-base-patch16",
)

ALT_CLIP = replace(CLIP, name="AltCLIP", model_types=("altclip",), example="BAAI/AltCLIP")

SIGLIP_TOWER = replace(
    CLIP_TOWER,
    name="SigLIP vision tower",
    model_types=("siglip_vision_model", "siglip2_vision_model"),
    readout=(
        norm("post_layernorm"),
        *pooling_head(packed("head.attention"), linear("head.attention.out_proj"), "head.probe"),
        MlpPart(linear("head.mlp.fc1"), linear("head.mlp.fc2"), "head.layernorm", "head.probe"),
    ),
    defaults={"epsilon": 1e-6, "activation": "gelu_pytorch_tanh"},
    example="google/siglip-base-patch16-224",
)

SIGLIP = replace(
    SIGLIP_TOWER,
    name="SigLIP, SigLIP 2",
    model_types=("siglip", "siglip2"),
    within="vision_config",
    prefixes=("vision_model.",),
    example="google/siglip2-base-patch16-224",
)

AIM_BLOCK = "encoder.layers.{l}."
AIMV2_TOWER = Family(
    name="AIMv2 vision tower",
    library="transformers",
    model_types=("aimv2_vision_model",),
    layouts=(
        Layout(
            AIM_BLOCK + "rms_norm1",
            linear(AIM_BLOCK + "attention.v_proj"),
            linear(AIM_BLOCK + "attention.out_proj"),
        ),
    ),
    readout=(
        norm("rms_norm"),
        *pooling_head(linear("head.v_proj"), linear("head.output_proj"), "head.cls_token"),
    ),
    sizes=SIZES | {"epsilon": "rms_norm_eps"},
    norm="rms-norm",
    prefixes=("vision_model.", *TOWER_PREFIXES),
    pooled=("pooler", "mean"),
    defaults={"epsilon": 1e-5},
    example="apple/aimv2-large-patch14-224",
)

AIMV2 = replace(
    AIMV2_TOWER,
    name="AIMv2 (with texts)",
    model_types=("aimv2",),
    within="vision_config",
    readout=(*AIMV2_TOWER.readout, PROJECTION),
    prefixes=("vision_model.",),
    example="apple/aimv2-large-patch14-224-lit",
)


def _vit_layouts(norm_name: str, *scale: str, always: tuple[str, ...] = ()) -> tuple[Layout, ...]:
    """transformers' two spellings of the same layer: on disk, and since version 5 in memory."""
    disk, memory = "encoder.layer.{l}.", "layers.{l}."
    return (
        Layout(
            disk + norm_name,
            linear(disk + "attention.attention.value"),
            linear(disk + "attention.output.dense"),
            tuple(disk + s for s in scale),
            (disk + norm_name + ".bias", *(disk + s for s in always)),
        ),
        *(
            Layout(
                block + norm_name,
                linear(block + "attention.v_proj"),
                linear(block + "attention.o_proj"),
                tuple(block + s for s in scale),
                (block + norm_name + ".bias", *(block + s for s in always)),
            )
            for block in (memory, disk, "layer.{l}.")
        ),
    )


VIT = Family(
    name="ViT, DeiT, ViT-MAE, ViT-MSN",
    library="transformers",
    model_types=("vit", "deit", "vit_mae", "vit_msn"),
    layouts=_vit_layouts("layernorm_before"),
    readout=(norm("layernorm"),),
    sizes=SIZES,
    prefixes=("", "vit.", "deit."),
    pooled=("class",),
    defaults={"epsilon": 1e-12},
    example="google/vit-base-patch16-224",
)

BEIT = replace(
    VIT,
    name="BEiT, data2vec-vision",
    model_types=("beit", "data2vec-vision"),
    layouts=_vit_layouts("layernorm_before", "lambda_1"),
    readout=(norm("pooler.layernorm", "layernorm", "/layernorm"),),
    prefixes=("", "beit.", "data2vec_vision."),
    pooled=("pooler", "class"),
    example="microsoft/beit-base-patch16-224",
)

DINOV2 = Family(
    name="DINOv2, with and without registers",
    library="transformers",
    model_types=("dinov2", "dinov2_with_registers"),
    layouts=_vit_layouts("norm1", "layer_scale1.lambda1", always=("layer_scale1.lambda1",)),
    readout=(norm("layernorm"),),
    sizes=SIZES,
    prefixes=("", "dinov2.", "dinov2_with_registers."),
    defaults={"epsilon": 1e-6},
    example="facebook/dinov2-base",
)

DINOV3 = replace(
    DINOV2,
    name="DINOv3 ViT",
    model_types=("dinov3_vit",),
    readout=(norm("norm"),),
    prefixes=("", "dinov3_vit."),
    defaults={"epsilon": 1e-5},
    example="facebook/dinov3-vitb16-pretrain-lvd1689m",
)

CLIP_TEXT = Family(
    name="CLIP text tower",
    library="transformers",
    model_types=("clip",),
    within="text_config",
    tower="text",
    layouts=CLIP_LAYERS,
    readout=(norm("final_layer_norm"), LinearPart(linear("/text_projection"))),
    sizes=SIZES,
    prefixes=("text_model.",),
    defaults={"epsilon": 1e-5},
    example="openai/clip-vit-large-patch14 --tower text",
)

CLIP_TEXT_TOWER = replace(
    CLIP_TEXT,
    name="CLIP text tower alone",
    model_types=("clip_text_model",),
    within="",
    readout=(
        norm("final_layer_norm"),
        LinearPart(linear("/text_projection"), "/text_projection.weight"),
    ),
    prefixes=("text_model.", ""),
    example="openai/clip-vit-large-patch14 --tower text",
)

SIGLIP_TEXT = replace(
    CLIP_TEXT,
    name="SigLIP text tower",
    model_types=("siglip", "siglip2"),
    readout=(norm("final_layer_norm"), LinearPart(linear("head"))),
    defaults={"epsilon": 1e-6},
    example="google/siglip-base-patch16-224 --tower text",
)

SIGLIP_TEXT_TOWER = replace(
    SIGLIP_TEXT,
    name="SigLIP text tower alone",
    model_types=("siglip_text_model", "siglip2_text_model"),
    within="",
    prefixes=("text_model.", ""),
)

AIMV2_TEXT = replace(
    CLIP_TEXT,
    name="AIMv2 text tower",
    model_types=("aimv2",),
    layouts=AIMV2_TOWER.layouts,
    readout=(norm("rms_norm"), LinearPart(linear("/text_projection"))),
    sizes=AIMV2_TOWER.sizes,
    norm="rms-norm",
    example="apple/aimv2-large-patch14-224-lit --tower text",
)

BERT_TEXT = replace(
    CLIP_TEXT,
    name="Chinese-CLIP's and AltCLIP's text towers",
    model_types=("chinese_clip", "altclip"),
    refused=POST_NORM,
    example="",
)
