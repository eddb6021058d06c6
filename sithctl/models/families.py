"""The table of model families: where each keeps what folding needs. A new family is an entry here
and a test on tiny random weights that its own library made and saved."""

from __future__ import annotations

from sithctl.models.family import Family
from sithctl.models.open_clip_families import OPEN_CLIP, OPEN_CLIP_TEXT, OPEN_CLIP_TIMM, TIMM
from sithctl.models.transformers_families import (
    AIMV2,
    AIMV2_TEXT,
    AIMV2_TOWER,
    ALT_CLIP,
    BEIT,
    BERT_TEXT,
    CHINESE_CLIP,
    CLIP,
    CLIP_TEXT,
    CLIP_TEXT_TOWER,
    CLIP_TOWER,
    DINOV2,
    DINOV3,
    SIGLIP,
    SIGLIP_TEXT,
    SIGLIP_TEXT_TOWER,
    SIGLIP_TOWER,
    VIT,
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
