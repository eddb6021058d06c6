"""Tiny models of every family, made and saved by their own libraries, each with its own attention
and its own head to compare with."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

VISION: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "image_size": 32,
    "patch_size": 16,
}
TEXT: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "vocab_size": 99,
}
BOTH = {"vision_config": VISION, "text_config": TEXT, "projection_dim": 24}


@dataclass(frozen=True)
class Made:
    """A saved model and what the real module does.

    Attributes:
        attend: (layer, (n, 1, width)) → what attention adds, LayerScale included.
        head: (n, width), each the single token there is → features.
        image: (n, 3, H, W) → the library's own feature, or None for text towers.
    """

    folder: Path
    attend: Callable[[int, Tensor], Tensor]
    head: Callable[[Tensor], Tensor]
    image: Callable[[Tensor], Tensor] | None
    side: int = 32


def roughen(model: nn.Module, seed: int = 0) -> nn.Module:
    """Values that matter for norms, biases and LayerScale: libraries start them at 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 0.3 if parameter.ndim < 2 else 0.05
            parameter += scale * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def _first(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


@dataclass(frozen=True)
class Hugging:
    """How to make one of transformers' models, and where its parts are.

    Attributes:
        layers: attribute path from the whole model to the list of layers.
        tower: ``vision`` or ``text``.
        head: from the whole model, and vectors as single tokens (n, 1, width), to features.
    """

    config: str
    model: str
    settings: dict[str, Any]
    layers: str
    norm: str
    attention: str
    head: Callable[[Any, Tensor], Tensor]
    scale: str | None = None
    tower: str = "vision"
    call: dict[str, Any] = field(default_factory=dict)
    image: Callable[[Any, Tensor], Tensor] | None = None

    def make(self, folder: Path) -> Made:
        import transformers

        torch.manual_seed(0)
        config = getattr(transformers, self.config)(**self.settings)
        model = roughen(getattr(transformers, self.model)(config))
        model.save_pretrained(folder)
        return self.made(folder, model)

    def load(self, folder: Path) -> Made:
        """The same of a saved directory, by the library."""
        import transformers

        return self.made(folder, getattr(transformers, self.model).from_pretrained(folder).eval())

    def made(self, folder: Path, model: Any) -> Made:
        layers = model.get_submodule(self.layers).double()
        model = model.double()

        def attend(layer: int, x: Tensor) -> Tensor:
            block = layers[layer]
            out = _first(getattr(block, self.attention)(getattr(block, self.norm)(x), **self.call))
            scale = getattr(block, self.scale) if self.scale else None
            if scale is None:
                return out
            return scale(out) if isinstance(scale, nn.Module) else scale * out

        image = self.image
        return Made(
            folder,
            attend,
            lambda x: self.head(model, x.unsqueeze(1)),
            None if self.tower == "text" else lambda p: (image or _pooled)(model, p),
        )


def _pooled(model: Any, pixels: Tensor) -> Tensor:
    if hasattr(model, "get_image_features"):
        return model.get_image_features(pixel_values=pixels).pooler_output
    return model(pixel_values=pixels).pooler_output


def _class(model: Any, pixels: Tensor) -> Tensor:
    return model.base_model(pixel_values=pixels).last_hidden_state[:, 0]


def _clip_head(prefix: str) -> Callable[[Any, Tensor], Tensor]:
    def head(model: Any, x: Tensor) -> Tensor:
        return model.visual_projection(model.get_submodule(prefix).post_layernorm(x[:, 0]))

    return head


def _clip_text_head(model: Any, x: Tensor) -> Tensor:
    return model.text_projection(model.text_model.final_layer_norm(x[:, 0]))


def _siglip_head(tower: Any, x: Tensor) -> Tensor:
    return tower.head(tower.post_layernorm(x))


def _mean_pooler(model: Any, x: Tensor) -> Tensor:
    return model.base_model.pooler(x.expand(-1, 2, -1))


ROPE = {"position_embeddings": (torch.zeros(0, 16).double(), torch.zeros(0, 16).double())}
VIT = {"layers": "layers", "norm": "layernorm_before", "attention": "attention"}
CLIP = {"norm": "layer_norm1", "attention": "self_attn"}
DINO = {"norm": "norm1", "attention": "attention", "scale": "layer_scale1"}
MASK = {"attention_mask": None}


def _under(prefix: str, more: dict[str, Any]) -> dict[str, Any]:
    return {**more, "layers": f"{prefix}.{more['layers']}"}


HUGGING: dict[str, Hugging] = {
    "clip": Hugging(
        "CLIPConfig",
        "CLIPModel",
        BOTH,
        "vision_model.encoder.layers",
        **CLIP,
        head=_clip_head("vision_model"),
    ),
    "clip-tower": Hugging(
        "CLIPVisionConfig",
        "CLIPVisionModel",
        VISION,
        "encoder.layers",
        **CLIP,
        head=lambda m, x: m.post_layernorm(x[:, 0]),
    ),
    "clip-text": Hugging(
        "CLIPConfig",
        "CLIPModel",
        BOTH,
        "text_model.encoder.layers",
        **CLIP,
        head=_clip_text_head,
        tower="text",
    ),
    "clip-text-alone": Hugging(
        "CLIPTextConfig",
        "CLIPTextModelWithProjection",
        {**TEXT, "projection_dim": 24},
        "text_model.encoder.layers",
        **CLIP,
        head=_clip_text_head,
        tower="text",
    ),
    "siglip-text-alone": Hugging(
        "SiglipTextConfig",
        "SiglipTextModel",
        {**TEXT, "projection_size": 48},
        "encoder.layers",
        **CLIP,
        head=lambda m, x: m.head(m.final_layer_norm(x[:, 0])),
        tower="text",
    ),
    "siglip-classifier": Hugging(
        "SiglipConfig",
        "SiglipForImageClassification",
        {"vision_config": VISION, "text_config": {**TEXT, "projection_size": 48}},
        "vision_model.encoder.layers",
        **CLIP,
        head=lambda m, x: _siglip_head(m.vision_model, x),
        image=lambda m, p: m.vision_model(pixel_values=p).pooler_output,
    ),
    "siglip": Hugging(
        "SiglipConfig",
        "SiglipModel",
        {
            "vision_config": {**VISION, "hidden_act": "gelu_pytorch_tanh"},
            "text_config": {**TEXT, "projection_size": 48},
        },
        "vision_model.encoder.layers",
        **CLIP,
        head=lambda m, x: _siglip_head(m.vision_model, x),
    ),
    "siglip-tower": Hugging(
        "SiglipVisionConfig",
        "SiglipVisionModel",
        VISION,
        "encoder.layers",
        **CLIP,
        head=_siglip_head,
    ),
    "siglip-headless": Hugging(
        "SiglipVisionConfig",
        "SiglipVisionModel",
        {**VISION, "vision_use_head": False},
        "encoder.layers",
        **CLIP,
        head=lambda m, x: m.post_layernorm(x[:, 0]),
        image=lambda m, p: m(pixel_values=p).last_hidden_state.mean(1),
    ),
    "siglip-text": Hugging(
        "SiglipConfig",
        "SiglipModel",
        {"vision_config": VISION, "text_config": {**TEXT, "projection_size": 48}},
        "text_model.encoder.layers",
        **CLIP,
        head=lambda m, x: m.text_model.head(m.text_model.final_layer_norm(x[:, 0])),
        tower="text",
    ),
    "siglip2": Hugging(
        "Siglip2Config",
        "Siglip2Model",
        {
            "vision_config": {**VISION, "num_patches": 16},
            "text_config": {**TEXT, "projection_size": 48},
        },
        "vision_model.encoder.layers",
        **CLIP,
        call=MASK,
        head=lambda m, x: _siglip_head(m.vision_model, x),
    ),
    "chinese-clip": Hugging(
        "ChineseCLIPConfig",
        "ChineseCLIPModel",
        BOTH,
        "vision_model.encoder.layers",
        **CLIP,
        head=_clip_head("vision_model"),
    ),
    "alt-clip": Hugging(
        "AltCLIPConfig",
        "AltCLIPModel",
        {**BOTH, "text_config": {**TEXT, "project_dim": 24}},
        "vision_model.encoder.layers",
        **CLIP,
        head=_clip_head("vision_model"),
    ),
    "aimv2-tower": Hugging(
        "Aimv2VisionConfig",
        "Aimv2VisionModel",
        VISION,
        "encoder.layers",
        norm="rms_norm1",
        attention="attention",
        head=lambda m, x: m.head(m.rms_norm(x)),
    ),
    "aimv2-headless": Hugging(
        "Aimv2VisionConfig",
        "Aimv2VisionModel",
        {**VISION, "use_head": False},
        "encoder.layers",
        norm="rms_norm1",
        attention="attention",
        head=lambda m, x: m.rms_norm(x[:, 0]),
        image=lambda m, p: m(pixel_values=p).last_hidden_state.mean(1),
    ),
    "aimv2": Hugging(
        "Aimv2Config",
        "Aimv2Model",
        {**BOTH, "text_config": {**TEXT, "projection_dim": 24}},
        "vision_model.encoder.layers",
        norm="rms_norm1",
        attention="attention",
        head=lambda m, x: m.visual_projection(m.vision_model.head(m.vision_model.rms_norm(x))),
    ),
    "aimv2-text": Hugging(
        "Aimv2Config",
        "Aimv2Model",
        {**BOTH, "text_config": {**TEXT, "projection_dim": 24}},
        "text_model.encoder.layers",
        norm="rms_norm1",
        attention="attention",
        head=lambda m, x: m.text_projection(m.text_model.rms_norm(x[:, 0])),
        tower="text",
    ),
    "vit": Hugging(
        "ViTConfig", "ViTModel", VISION, **VIT, head=lambda m, x: m.layernorm(x[:, 0]), image=_class
    ),
    "vit-classifier": Hugging(
        "ViTConfig",
        "ViTForImageClassification",
        VISION,
        **_under("vit", VIT),
        head=lambda m, x: m.vit.layernorm(x[:, 0]),
        image=_class,
    ),
    "deit": Hugging(
        "DeiTConfig",
        "DeiTForImageClassificationWithTeacher",
        VISION,
        **_under("deit", VIT),
        head=lambda m, x: m.deit.layernorm(x[:, 0]),
        image=_class,
    ),
    "vit-mae": Hugging(
        "ViTMAEConfig",
        "ViTMAEForPreTraining",
        {
            **VISION,
            "mask_ratio": 0.0,
            "decoder_hidden_size": 32,
            "decoder_num_attention_heads": 2,
            "decoder_num_hidden_layers": 1,
        },
        **_under("vit", VIT),
        head=lambda m, x: m.vit.layernorm(x[:, 0]),
        image=_class,
    ),
    "vit-msn": Hugging(
        "ViTMSNConfig",
        "ViTMSNModel",
        VISION,
        **VIT,
        head=lambda m, x: m.layernorm(x[:, 0]),
        image=_class,
    ),
    "beit": Hugging(
        "BeitConfig",
        "BeitForImageClassification",
        VISION,
        **_under("beit", VIT),
        scale="lambda_1",
        head=_mean_pooler,
        image=lambda m, p: m.base_model(pixel_values=p).pooler_output,
    ),
    "beit-class-token": Hugging(
        "BeitConfig",
        "BeitModel",
        {**VISION, "use_mean_pooling": False},
        **VIT,
        scale="lambda_1",
        head=lambda m, x: m.layernorm(x[:, 0]),
    ),
    "beit-masked": Hugging(
        "BeitConfig",
        "BeitForMaskedImageModeling",
        {**VISION, "use_mean_pooling": True, "vocab_size": 50},
        **_under("beit", VIT),
        scale="lambda_1",
        head=lambda m, x: m.layernorm(x[:, 0]),
        image=lambda m, p: m.layernorm(m.beit(pixel_values=p).last_hidden_state)[:, 0],
    ),
    "data2vec": Hugging(
        "Data2VecVisionConfig",
        "Data2VecVisionForImageClassification",
        VISION,
        "data2vec_vision.encoder.layer",
        norm="layernorm_before",
        attention="attention",
        scale="lambda_1",
        head=_mean_pooler,
        image=lambda m, p: m.base_model(pixel_values=p).pooler_output,
    ),
    "dinov2": Hugging(
        "Dinov2Config",
        "Dinov2ForImageClassification",
        VISION,
        "dinov2.encoder.layer",
        **DINO,
        head=lambda m, x: m.dinov2.layernorm(x[:, 0]),
        image=lambda m, p: m.base_model(pixel_values=p).pooler_output,
    ),
    "dinov2-registers": Hugging(
        "Dinov2WithRegistersConfig",
        "Dinov2WithRegistersModel",
        {**VISION, "num_register_tokens": 2},
        "encoder.layer",
        **DINO,
        head=lambda m, x: m.layernorm(x[:, 0]),
    ),
    "dinov3": Hugging(
        "DINOv3ViTConfig",
        "DINOv3ViTModel",
        {**VISION, "num_register_tokens": 2},
        "model.layer",
        **DINO,
        call=ROPE,
        head=lambda m, x: m.norm(x[:, 0]),
    ),
    "llava": Hugging(
        "LlavaConfig",
        "LlavaForConditionalGeneration",
        {
            "vision_config": {**VISION, "model_type": "clip_vision_model"},
            "text_config": {**TEXT, "model_type": "llama", "num_key_value_heads": 3},
        },
        "model.vision_tower.encoder.layers",
        **CLIP,
        head=lambda m, x: m.model.vision_tower.post_layernorm(x[:, 0]),
        image=lambda m, p: m.model.vision_tower(pixel_values=p).pooler_output,
    ),
}


@dataclass(frozen=True)
class Timm:
    """One of timm's architectures, made small."""

    architecture: str
    arguments: dict[str, Any]

    def make(self, folder: Path) -> Made:
        import timm

        torch.manual_seed(0)
        model: Any = roughen(timm.create_model(self.architecture, **SMALL | self.arguments))
        timm.models.save_for_hf(
            model, str(folder), model_args=SMALL | self.arguments, safe_serialization=True
        )
        return self.made(folder, model)

    def load(self, folder: Path) -> Made:
        """The same of a saved directory, by the library."""
        import timm

        model = timm.create_model(f"local-dir:{folder}", pretrained=True)
        return self.made(folder, model.eval())

    def made(self, folder: Path, model: Any) -> Made:
        model = model.double()
        tokens = 1 + model.num_prefix_tokens  # one that is pooled, whatever the pooling

        def head(x: Tensor) -> Tensor:
            same = model.norm(x.unsqueeze(1).expand(-1, tokens, -1))
            return model.forward_head(same, pre_logits=True)

        def image(pixels: Tensor) -> Tensor:
            return model.forward_head(model.forward_features(pixels), pre_logits=True)

        blocks = copy.deepcopy(model.blocks)
        return Made(folder, lambda layer, x: attend_timm(blocks[layer], x), head, image)


def attend_timm(block: Any, x: Tensor) -> Tensor:
    for table in ("relative_position_bias_table", "rel_pos"):
        if getattr(block.attn, table, None) is not None:
            setattr(block.attn, table, None)  # made for a whole grid; one token's attention is 1
    out = block.attn(block.norm1(x))
    gamma = getattr(block, "gamma_1", None)
    if gamma is not None:
        return gamma * out
    return block.ls1(out) if hasattr(block, "ls1") else out


SMALL = {"embed_dim": 48, "depth": 2, "num_heads": 3, "img_size": 32, "num_classes": 5}
TIMM: dict[str, Timm] = {
    "vit": Timm("vit_tiny_patch16_224", {}),
    "vit-average": Timm("vit_tiny_patch16_224", {"global_pool": "avg"}),
    "vit-average-no-fc-norm": Timm(
        "vit_tiny_patch16_224", {"global_pool": "avg", "fc_norm": False}
    ),
    "vit-qk-norm": Timm("vit_tiny_patch16_224", {"qk_norm": True, "init_values": 0.5}),
    "vit-wide-heads": Timm("vit_tiny_patch16_224", {"num_heads": 6}),
    "deit3": Timm("deit3_small_patch16_224", {}),
    "deit-distilled": Timm("deit_tiny_distilled_patch16_224", {}),
    "dinov2": Timm("vit_small_patch14_dinov2", {"patch_size": 16}),
    "dinov2-registers": Timm("vit_small_patch14_reg4_dinov2", {"patch_size": 16}),
    "dinov3": Timm("vit_small_patch16_dinov3", {}),
    "siglip": Timm("vit_base_patch16_siglip_224", {}),
    "clip": Timm("vit_base_patch16_clip_224", {}),
    "beit": Timm("beit_base_patch16_224", {"init_values": 0.5}),
    "eva": Timm("eva_giant_patch14_224", {"patch_size": 16, "mlp_ratio": 2.0}),
    "eva02-linear": Timm("eva02_tiny_patch14_224", {"patch_size": 16}),
    "relative-positions": Timm("vit_relpos_small_patch16_224", {}),
    "aimv2": Timm("aimv2_large_patch14_224", {"patch_size": 16}),
    "perception": Timm("vit_pe_core_tiny_patch16_384", {"attn_pool_num_heads": 3}),
}

OPEN_TEXT = {"context_length": 16, "vocab_size": 99, "width": 48, "heads": 3, "layers": 2}
OPEN_VISION = {"image_size": 32, "patch_size": 16, "width": 48, "layers": 2, "head_width": 16}


@dataclass(frozen=True)
class Open:
    """One of OpenCLIP's structures, made small."""

    vision: dict[str, Any]
    text: dict[str, Any] = field(default_factory=dict)
    custom_text: bool = False
    tower: str = "vision"
    side: int = 32
    multimodal: dict[str, Any] | None = None

    def make(self, folder: Path) -> Made:
        import open_clip
        from safetensors.torch import save_file

        torch.manual_seed(0)
        text = {**OPEN_TEXT, **self.text}
        settings = {"embed_dim": 24, "vision_cfg": self.vision, "text_cfg": text}
        kind: Any = open_clip.CustomTextCLIP if self.custom_text else open_clip.CLIP
        if self.multimodal is not None:
            kind = open_clip.CoCa
            settings["multimodal_cfg"] = self.multimodal
        model: Any = roughen(kind(**settings))
        folder.mkdir(parents=True)
        named = settings | ({"custom_text": True} if self.custom_text else {})
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": named}))
        save_file(model.state_dict(), folder / "open_clip_model.safetensors")
        return self.made(folder, model)

    def load(self, folder: Path) -> Made:
        """The same of a saved directory, by the library."""
        import open_clip

        model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
        return self.made(folder, model.eval())

    def made(self, folder: Path, model: Any) -> Made:
        model = model.double()
        if self.tower == "text":
            return self._text(folder, model)
        visual = model.visual
        encode = partial(model.encode_image, normalize=False)
        if "timm_model_name" in self.vision:
            trunk = visual.trunk
            tokens = 1 + trunk.num_prefix_tokens

            def trunk_head(x: Tensor) -> Tensor:
                same = trunk.norm(x.unsqueeze(1).expand(-1, tokens, -1))
                return visual.head(trunk.forward_head(same))

            return Made(
                folder,
                lambda layer, x: attend_timm(trunk.blocks[layer], x),
                trunk_head,
                encode,
                self.side,
            )

        def attend(layer: int, x: Tensor) -> Tensor:
            block = visual.transformer.resblocks[layer]
            return block.ls_1(block.attention(block.ln_1(x)))

        def head(x: Tensor) -> Tensor:
            pooled, _ = visual._pool(x.unsqueeze(1).expand(-1, 2, -1))
            return pooled @ visual.proj

        return Made(folder, attend, head, encode)

    def _text(self, folder: Path, model: Any) -> Made:
        text = model.text if self.custom_text else model

        def attend(layer: int, x: Tensor) -> Tensor:
            block = text.transformer.resblocks[layer]
            return block.ls_1(block.attention(block.ln_1(x)))

        def head(x: Tensor) -> Tensor:
            normed = text.ln_final(x)
            project = text.text_projection
            return project(normed) if isinstance(project, nn.Module) else normed @ project

        return Made(folder, attend, head, None)


OPEN: dict[str, Open] = {
    "vit": Open(OPEN_VISION),
    "layer-scale": Open({**OPEN_VISION, "ls_init_value": 0.5}),
    "average": Open(
        {**OPEN_VISION, "no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True}
    ),
    "epsilon": Open({**OPEN_VISION, "norm_kwargs": {"eps": 1e-3}}),
    "attention-pool": Open({**OPEN_VISION, "attentional_pool": True, "attn_pooler_heads": 2}),
    "coca": Open(
        {
            **OPEN_VISION,
            "attentional_pool": True,
            "attn_pooler_heads": 2,
            "output_tokens": True,
        },
        {"embed_cls": True, "output_tokens": True},
        custom_text=True,
        multimodal={**OPEN_TEXT, "attn_pooler_heads": 2},
    ),
    "trunk": Open(
        {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "", "image_size": 160},
        side=160,
    ),
    "trunk-linear": Open(
        {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160},
        side=160,
    ),
    "trunk-mlp": Open(
        {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "mlp", "image_size": 160},
        side=160,
    ),
    "trunk-map": Open(
        {
            "timm_model_name": "test_vit3",
            "timm_pool": "map",
            "timm_proj": "none",
            "image_size": 160,
        },
        custom_text=True,
        side=160,
    ),
    "text": Open(OPEN_VISION, tower="text"),
    "text-custom": Open(
        OPEN_VISION, {"proj_bias": True, "ls_init_value": 0.5}, custom_text=True, tower="text"
    ),
}

ZOO: dict[str, Hugging | Timm | Open] = {
    **{f"transformers-{name}": made for name, made in HUGGING.items()},
    **{f"timm-{name}": made for name, made in TIMM.items()},
    **{f"open_clip-{name}": made for name, made in OPEN.items()},
}
