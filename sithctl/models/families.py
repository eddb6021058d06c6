"""The table of model families: where each keeps what folding needs. A new family is an entry here
and a test on tiny random weights that its own library made and saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sithctl.models.names import (
    Layout,
    LinearPart,
    Matrix,
    MlpPart,
    NormPart,
    Part,
    linear,
    norm,
    optional_norm,
    packed,
    pooling_head,
)

POST_NORM = {"attention.output.LayerNorm": "a norm after the residual sum (a BERT)"}


@dataclass(frozen=True)
class Family:
    """One family of Vision Transformers, or of the text towers beside them.

    Attributes:
        name: for people.
        library: that writes its checkpoints: ``transformers``, ``open_clip`` or ``timm``.
        layouts: how a layer's tensors may be called; the first that is found counts.
        readout: the parts from the residual stream to the feature space, in order.
        sizes: where the config says layers, width, heads (or head_width), epsilon and activation.
        model_types: values of the config's ``model_type`` (transformers alone).
        within: the part of the config that describes the tower.
        tower: ``vision`` or ``text``.
        norm: ``layer-norm``, or ``rms-norm``, which removes no mean: nothing is centred then.
        prefixes: what may stand before the names, tried in order before any other.
        pooled: where the library's own output has the tower's feature: ``pooler``, or where there
            is none ``class`` (the normed class token) or ``mean`` (of the normed tokens).
        defaults: of sizes that a config may leave out.
        refused: parts of tensor names → why their presence breaks the algebra.
        example: a published model.
    """

    name: str
    library: str
    layouts: tuple[Layout, ...]
    readout: tuple[Part, ...]
    sizes: Mapping[str, str] = field(default_factory=dict)
    model_types: tuple[str, ...] = ()
    within: str = ""
    tower: str = "vision"
    norm: str = "layer-norm"
    prefixes: tuple[str, ...] = ("",)
    pooled: tuple[str, ...] = ("pooler",)
    defaults: Mapping[str, float | str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    example: str = ""

    @property
    def reads_out(self) -> list[str]:
        """The read-out's parts in words; in brackets what not every model has."""
        words = {NormPart: "norm", LinearPart: "linear", MlpPart: "MLP"}
        parts = [(words[type(part)], part.when is not None) for part in self.readout]
        shown = [f"({word})" if optional else word for word, optional in parts]
        return [word for i, word in enumerate(shown) if i == 0 or word != shown[i - 1]]


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

FAMILIES: tuple[Family, ...] = (
    CLIP,
    CLIP_TOWER,
    CLIP_TEXT,
    CLIP_TEXT_TOWER,
    SIGLIP,
    SIGLIP_TOWER,
    SIGLIP_TEXT,
    SIGLIP_TEXT_TOWER,
    CHINESE_CLIP,
    ALT_CLIP,
    BERT_TEXT,
    AIMV2,
    AIMV2_TOWER,
    AIMV2_TEXT,
    VIT,
    BEIT,
    DINOV2,
    DINOV3,
    OPEN_CLIP,
    OPEN_CLIP_TIMM,
    OPEN_CLIP_TEXT,
    TIMM,
)
