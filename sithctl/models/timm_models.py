"""timm's architectures, asked of timm itself: a model's name is its config, so its skeleton is
built on torch's ``meta`` device, without a weight, and read for sizes and structure."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sithctl.errors import InputError
from sithctl.models.nearest import nearest
from sithctl.models.sizes import Sizes
from sithctl.models.structure import INSTEAD

MODELS = {
    "VisionTransformer",
    "VisionTransformerDistilled",
    "VisionTransformerRelPos",
    "NaFlexVit",
    "Eva",
    "Beit",
}
BLOCKS = {"Block", "EvaBlock", "RelPosBlock"}
ATTENTIONS = {"Attention", "EvaAttention", "AttentionRope", "RelPosAttention"}
POST_NORM = {"ResPostBlock", "EvaBlockPostNorm", "ResPostRelPosBlock"}
ACTIVATIONS = {
    "GELU": "gelu",
    "GELUTanh": "gelu_tanh",
    "QuickGELU": "quick_gelu",
    "SiLU": "silu",
    "ReLU": "relu",
}


def skeleton(architecture: str, arguments: Mapping[str, Any], where: object) -> nn.Module:
    """The model without weights.

    Raises:
        InputError: timm has no such architecture, or it is outside the algebra.
    """
    import timm

    if not isinstance(architecture, str) or not timm.is_model(architecture):
        near = nearest(str(architecture).split(".")[0], timm.list_models())
        raise InputError(f"timm has no architecture {architecture}", where, f"nearest: {near}")
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model: nn.Module = timm.create_model(architecture, pretrained=False, **arguments)
    except Exception as error:  # whatever an architecture's own code raises
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"timm cannot build it ({first})", where, "check its model_args"
        ) from error
    why = obstacle(model)
    if why:
        raise InputError(f"not supported: {why}: timm's {architecture}", where, INSTEAD)
    return model


def obstacle(model: nn.Module) -> str | None:
    """Why the algebra does not cover a timm model; None where it does."""
    blocks = getattr(model, "blocks", None)
    name = type(model).__name__
    if name not in MODELS or not isinstance(blocks, nn.Sequential | nn.ModuleList):
        return f"a hierarchy, or a structure of its own ({name})"
    for block in blocks:
        why = _block_obstacle(block)
        if why:
            return why
    counts = {getattr(block.attn, "num_heads", None) for block in blocks}
    if len(counts) != 1:
        return "layers that differ in their number of heads, or none"
    if getattr(model, "global_pool", None) == "":
        return "no pooling (global_pool '')"
    pool = getattr(model, "attn_pool", None)
    if pool is None:
        return None
    if type(pool).__name__ != "AttentionPoolLatent" or pool.pos_embed is not None:
        return f"an attention pooling of a kind that is not known ({type(pool).__name__})"
    return None


def _block_obstacle(block: Any) -> str | None:
    name = type(block).__name__
    if name in POST_NORM:
        return f"a norm after the residual branch ({name})"
    if "Parallel" in name:
        return f"attention and MLP in parallel ({name})"
    if name not in BLOCKS:
        return f"blocks of a kind that is not known ({name})"
    attention = block.attn
    if type(attention).__name__ not in ATTENTIONS:
        return f"an attention of a kind that is not known ({type(attention).__name__})"
    if not isinstance(getattr(attention, "norm", None) or nn.Identity(), nn.Identity):
        return "a norm between value and output (attn.norm)"
    if getattr(attention, "gate", None) is not None:
        return "a gate between value and output (attn.gate)"
    if getattr(attention, "num_kv_heads", attention.num_heads) != attention.num_heads:
        return "fewer values than heads (grouped queries)"
    return None if _norm_kind(block.norm1) else f"a norm {type(block.norm1).__name__}"


def sizes_of(model: Any, where: object) -> Sizes:
    """Sizes of a skeleton that ``obstacle`` lets pass.

    Raises:
        InputError: its norms differ in kind or epsilon.
    """
    block = model.blocks[0]
    norms = [b.norm1 for b in model.blocks]
    norms += [m for n in ("norm", "fc_norm") if _norm_kind(m := getattr(model, n, None))]
    pool = getattr(model, "attn_pool", None)
    if _norm_kind(getattr(pool, "norm", None)):
        norms.append(pool.norm)  # type: ignore[union-attr]
    kinds = {(_norm_kind(n), float(n.eps)) for n in norms}
    if len(kinds) != 1:
        raise InputError("not supported: norms of several kinds", where, INSTEAD)
    kind, epsilon = kinds.pop()
    return Sizes(
        len(model.blocks),
        int(model.embed_dim),
        int(block.attn.num_heads),
        epsilon,
        _activation(pool),
        str(kind),
        frozenset(model.state_dict()),
    )


def _activation(pool: Any) -> str:
    """Of the MLP in an attention pooling, as ``read_out`` names it."""
    act = getattr(getattr(pool, "mlp", None), "act", None)
    if act is None:
        return "gelu"
    if getattr(act, "approximate", "none") == "tanh":
        return "gelu_tanh"
    name = type(act).__name__
    return ACTIVATIONS.get(name, name)


def _norm_kind(module: Any) -> str | None:
    if isinstance(module, nn.LayerNorm):
        return "layer-norm"
    return "rms-norm" if type(module).__name__ in {"RmsNorm", "RmsNormFp32"} else None
