"""The table of model families: where each keeps what folding needs.

A family is data. ``{l}`` stands for the layer; config keys are dotted paths into the model's own
config; a tensor name ends in ``.weight`` and ``.bias`` unless it is given in full (LayerScale, a
bare projection).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepNames:
    """One read-out step's tensors: ``layer-norm``, or ``linear``.

    ``stored`` says how a linear map lies on disk: ``out-in`` as in a Linear, ``in-out`` as a bare
    matrix that multiplies row vectors.
    """

    op: str
    name: str
    stored: str = "out-in"


@dataclass(frozen=True)
class Family:
    """One family of Vision Transformers.

    Attributes:
        name: for people.
        library: that writes its checkpoints: ``transformers`` or ``open_clip``.
        model_types: values of the config's ``model_type`` (transformers alone).
        prefixes: what may stand before every name, tried in order.
        norm: the LayerNorm before attention.
        value: the value projection; with ``fused``, the last third of a (3 × width) matrix.
        output: the output projection.
        layer_scale: a vector that multiplies what attention writes.
        readout: the steps from the residual stream to the feature space.
        config: dotted keys of layers, width, heads (or head_width) and epsilon.
        defaults: for keys a config may leave out.
        refused: parts of tensor names → why their presence breaks the algebra.
    """

    name: str
    library: str
    model_types: tuple[str, ...]
    norm: str
    value: str
    output: str
    readout: tuple[StepNames, ...]
    config: dict[str, str]
    prefixes: tuple[str, ...] = ("",)
    fused: bool = False
    layer_scale: str | None = None
    defaults: dict[str, float] | None = None
    refused: dict[str, str] | None = None


_CLIP_LAYER = "vision_model.encoder.layers.{l}."
_CLIP_READOUT = (
    StepNames("layer-norm", "vision_model.post_layernorm"),
    StepNames("linear", "visual_projection.weight"),
)


def _sizes(prefix: str) -> dict[str, str]:
    return {
        "layers": f"{prefix}num_hidden_layers",
        "width": f"{prefix}hidden_size",
        "heads": f"{prefix}num_attention_heads",
        "epsilon": f"{prefix}layer_norm_eps",
    }


CLIP = Family(
    name="CLIP (transformers)",
    library="transformers",
    model_types=("clip",),
    norm=_CLIP_LAYER + "layer_norm1",
    value=_CLIP_LAYER + "self_attn.v_proj",
    output=_CLIP_LAYER + "self_attn.out_proj",
    readout=_CLIP_READOUT,
    config=_sizes("vision_config."),
)

CLIP_VISION = Family(
    name="CLIP vision tower (transformers)",
    library="transformers",
    model_types=("clip_vision_model",),
    norm=_CLIP_LAYER + "layer_norm1",
    value=_CLIP_LAYER + "self_attn.v_proj",
    output=_CLIP_LAYER + "self_attn.out_proj",
    readout=_CLIP_READOUT,
    config=_sizes(""),
)

DINOV2 = Family(
    name="DINOv2 (transformers)",
    library="transformers",
    model_types=("dinov2",),
    prefixes=("", "dinov2."),
    norm="encoder.layer.{l}.norm1",
    value="encoder.layer.{l}.attention.attention.value",
    output="encoder.layer.{l}.attention.output.dense",
    layer_scale="encoder.layer.{l}.layer_scale1.lambda1",
    readout=(StepNames("layer-norm", "layernorm"),),
    config=_sizes(""),
)

_BLOCK = "visual.transformer.resblocks.{l}."

OPEN_CLIP = Family(
    name="OpenCLIP ViT",
    library="open_clip",
    model_types=(),
    norm=_BLOCK + "ln_1",
    value=_BLOCK + "attn.in_proj_",
    fused=True,
    output=_BLOCK + "attn.out_proj",
    layer_scale=_BLOCK + "ls_1.gamma",
    readout=(
        StepNames("layer-norm", "visual.ln_post"),
        StepNames("linear", "visual.proj", stored="in-out"),
    ),
    config={
        "layers": "vision_cfg.layers",
        "width": "vision_cfg.width",
        "head_width": "vision_cfg.head_width",
        "epsilon": "vision_cfg.norm_kwargs.eps",
    },
    defaults={"layers": 12, "width": 768, "head_width": 64, "epsilon": 1e-5},
    refused={
        ".ln_attn.": "a norm after the heads' sum",
        ".ln_inner.": "a norm between value and output",
        ".head_scale": "scaled heads",
        "visual.attn_pool": "an attention-pooling head",
        "visual.trunk.": "a timm trunk",
        "visual.layer1.": "a ResNet",
    },
)

FAMILIES: tuple[Family, ...] = (CLIP, CLIP_VISION, DINOV2, OPEN_CLIP)
