"""What the table covers of the libraries' own lists, and what is refused by its structure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import _build_text_tower, _build_vision_tower
from safetensors.torch import load_file, save_file
from torch import Tensor

from sithctl.errors import InputError
from sithctl.models import open_model
from sithctl.models import opening as model_module
from sithctl.models.location import Location
from sithctl.models.opening import open_located
from sithctl.models.timm_models import obstacle, skeleton
from sithctl.stages.fold import fold
from tests.conftest import Run
from tests.zoo import HUGGING, ZOO, Open, Timm


class Shapes:
    """A checkpoint of zeros that take no memory: only names and shapes."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.path = Path("shapes")
        self.tensors = tensors

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def names(self) -> list[str]:
        return sorted(self.tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.tensors[name].shape)

    def read(self, name: str, rows: slice | None = None) -> Tensor:
        if name not in self.tensors:
            raise InputError(f"no tensor {name}", self.path)
        return torch.zeros(1).expand(self.shape(name))[rows or slice(None)]


def _kind(config: dict[str, Any]) -> str:
    """What decides a tower's structure; widths and depths do not."""
    vision = {k: v for k, v in config["vision_cfg"].items() if k not in _SIZES}
    text = {k: v for k, v in config["text_cfg"].items() if k not in _SIZES}
    return json.dumps([vision, text, config.get("custom_text")], sort_keys=True)


_SIZES = {"image_size", "patch_size", "width", "layers", "heads", "mlp_ratio", "vocab_size"}
_SIZES |= {"head_width", "context_length", "timm_model_pretrained"}
CONFIGS = {_kind(c): n for n in open_clip.list_models() if (c := open_clip.get_model_config(n))}
REFUSED = ("RN", "convnext", "swin", "EVA02", "MobileCLIP-S", "MobileCLIP2-S")


@pytest.mark.parametrize("name", sorted(CONFIGS.values()))
def test_every_open_clip_config(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ViT of the library is covered, both towers; what is refused says why."""
    config = open_clip.get_model_config(name)
    tensors = _tensors(config)
    monkeypatch.setattr(model_module, "Checkpoint", lambda _: Shapes(tensors))
    location = Location(name, "open_clip", Path("shapes"), None, config)
    if name.startswith(REFUSED):
        with pytest.raises(InputError, match="not supported"):
            open_located(location)
    else:
        _complete(location, "vision", config["embed_dim"])
    if "hf_model_name" in config["text_cfg"]:
        return
    _complete(location, "text", config["embed_dim"])


def _tensors(config: dict[str, Any]) -> dict[str, Tensor]:
    with torch.device("meta"):
        visual = _build_vision_tower(config["embed_dim"], config["vision_cfg"])
        tensors = {f"visual.{n}": t for n, t in visual.state_dict().items()}
        if "hf_model_name" in config["text_cfg"]:
            return tensors
        text = _build_text_tower(config["embed_dim"], config["text_cfg"])
    prefix = "text." if config.get("custom_text") else ""
    return tensors | {f"{prefix}{n}": t for n, t in text.state_dict().items()}


def _complete(location: Location, tower: str, features: int) -> None:
    model = open_located(location, tower=tower)
    assert model.space
    for layer in (0, model.layers - 1):
        weights = model.layer(layer)
        assert weights.output_weight.shape[1] == model.heads * model.head_dim
    assert model.readout.features == features
    assert set(model.tensors([0])) <= set(model.checkpoint.names())


COVERED = (
    "vit_base_patch16_224",
    "vit_so400m_patch14_siglip_384",
    "vit_giant_patch14_reg4_dinov2",
    "vit_7b_patch16_dinov3",
    "deit3_huge_patch14_224",
    "beitv2_large_patch16_224",
    "eva_giant_patch14_clip_224",
    "vit_base_mci_224",
    "naflexvit_base_patch16_gap",
)


@pytest.mark.parametrize("name", COVERED)
def test_timm_architectures_that_are_covered(name: str) -> None:
    assert obstacle(skeleton(name, {}, name)) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("eva02_large_patch14_clip_224", "a norm between value and output"),
        ("beit3_base_patch16_224", "a norm between value and output"),
        ("vit_relpos_base_patch16_rpn_224", "a norm after the residual branch"),
        ("vit_small_patch16_18x2_224", "attention and MLP in parallel"),
        ("swin_tiny_patch4_window7_224", "a hierarchy"),
        ("cait_xxs24_224", "a structure of its own"),
        ("xcit_nano_12_p16_224", "a structure of its own"),
        ("resnet18", "a structure of its own"),
    ],
)
def test_timm_structures_that_are_refused(name: str, why: str) -> None:
    with pytest.raises(InputError, match=f"not supported: .*{why}"):
        skeleton(name, {}, name)


def test_a_gate_and_grouped_queries_are_refused() -> None:
    import timm

    small = {"embed_dim": 48, "depth": 1, "num_heads": 3, "img_size": 32}
    model: Any = timm.create_model("vit_tiny_patch16_224", **small)
    assert obstacle(model) is None
    model.blocks[0].attn.gate = torch.nn.Linear(48, 48)
    assert "gate" in str(obstacle(model))
    rope: Any = timm.create_model("vit_pe_core_tiny_patch16_384", attn_pool_num_heads=3, **small)
    rope.blocks[0].attn.num_kv_heads = 1
    assert "grouped" in str(obstacle(rope))


def _saved_config(folder: Path, name: str, **settings: Any) -> Path:
    import transformers

    config = getattr(transformers, name)(**settings)
    config.save_pretrained(folder)
    return folder


def _save(folder: Path, names: Iterable[str]) -> Path:
    save_file({name: torch.zeros(2) for name in names}, folder / "model.safetensors")
    return folder


def test_an_architecture_outside_the_table(tmp_path: Path) -> None:
    from transformers import SwinConfig, SwinModel

    tiny = SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 1])
    SwinModel(tiny).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"swin has a hierarchy of windows .*nearest: ") as caught:
        fold(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_an_architecture_that_is_merely_unknown(tmp_path: Path) -> None:
    folder = _save(_saved_config(tmp_path, "BertConfig"), ["embeddings.weight"])
    with pytest.raises(InputError, match=r"architecture bert is not in the table \(nearest: "):
        open_model(str(folder))


@pytest.mark.parametrize("name", ["chinese-clip", "alt-clip"])
def test_text_towers_of_bert_are_refused(name: str, tmp_path: Path) -> None:
    HUGGING[name].make(tmp_path)
    with pytest.raises(InputError, match="a norm after the residual sum"):
        open_model(str(tmp_path), tower="text")


def test_a_vision_model_has_no_text_tower(tmp_path: Path) -> None:
    HUGGING["vit"].make(tmp_path)
    with pytest.raises(InputError, match="no text tower"):
        open_model(str(tmp_path), tower="text")


def test_a_backbone_without_a_final_norm_is_refused(tmp_path: Path) -> None:
    from transformers import Data2VecVisionConfig, Data2VecVisionModel

    from tests.zoo import VISION

    Data2VecVisionModel(Data2VecVisionConfig(**VISION)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"layernorm"):
        fold(str(tmp_path))


def test_towers_under_other_prefixes(tmp_path: Path) -> None:
    """A classifier's own name before its backbone's tensors; two backbones are not chosen from."""
    made = HUGGING["dinov2"].make(tmp_path / "whole")
    tensors = load_file(made.folder / "model.safetensors")
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_bytes((made.folder / "config.json").read_bytes())
    renamed = {n.replace("dinov2.", "student.backbone."): t for n, t in tensors.items()}
    save_file(renamed, other / "model.safetensors")
    ours, theirs = fold(str(other)), fold(str(made.folder))
    assert (ours.layers[1].output == theirs.layers[1].output).all()
    teacher = {n.replace("dinov2.", "teacher.backbone."): t.clone() for n, t in tensors.items()}
    save_file(renamed | teacher, other / "model.safetensors")
    assert (fold(str(other)).layers[1].output == theirs.layers[1].output).all()
    second = {n.replace("dinov2.", "b."): t.clone() for n, t in tensors.items()}
    save_file(renamed | second, other / "model.safetensors")
    with pytest.raises(InputError, match=r"several towers: b\., student\.backbone\."):
        fold(str(other))


BARE = (
    "transformers-vit",
    "transformers-dinov2",
    "transformers-clip",
    "transformers-clip-text",
    "transformers-siglip",
    "transformers-siglip-text",
    "transformers-siglip-tower",
    "transformers-aimv2",
    "transformers-beit",
    "transformers-beit-class-token",
    "open_clip-vit",
    "open_clip-text",
    "open_clip-coca",
    "timm-vit",
    "timm-siglip",
)


@pytest.mark.filterwarnings("ignore:no config beside it")
@pytest.mark.parametrize("name", BARE)
def test_a_bare_checkpoint_needs_its_heads(name: str, tmp_path: Path) -> None:
    made = ZOO[name].make(tmp_path / "whole")
    weights = next(made.folder.glob("*.safetensors"))
    bare = tmp_path / "bare" / "weights.safetensors"
    bare.parent.mkdir()
    bare.write_bytes(weights.read_bytes())
    tower = getattr(ZOO[name], "tower", "vision")
    with pytest.raises(InputError, match="--heads"):
        fold(str(bare), tower=tower)
    whole = fold(str(made.folder), tower=tower)
    folded = fold(str(bare), tower=tower, heads=3)
    assert [s.op for s in folded.readout.steps] == [s.op for s in whole.readout.steps]
    for ours, theirs in zip(folded.readout.steps, whole.readout.steps, strict=True):
        assert all((ours.tensors[n] == t).all() for n, t in theirs.tensors.items())
    assert folded.layers.keys() == whole.layers.keys()
    for layer, factors in whole.layers.items():
        assert (folded.layers[layer].value == factors.value).all()
        assert (folded.layers[layer].output == factors.output).all()
    with pytest.raises(InputError, match="5 heads do not divide"):
        fold(str(bare), tower=tower, heads=5)


def test_what_a_bare_checkpoint_cannot_say_is_refused_or_told(tmp_path: Path) -> None:
    for name in ("timm-aimv2", "timm-clip"):
        made = ZOO[name].make(tmp_path / name)
        bare = tmp_path / f"{name}.safetensors"
        bare.write_bytes((made.folder / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="norms without a bias"):
        fold(str(tmp_path / "timm-aimv2.safetensors"), heads=3)
    with pytest.warns(UserWarning, match="taken for timm ViT.*epsilon 1e-06"):
        fold(str(tmp_path / "timm-clip.safetensors"), heads=3)


def _edited(made: Path, folder: Path, change: Any) -> Path:
    """A copy of a saved model whose tensors went through ``change``."""
    folder.mkdir()
    (folder / "config.json").write_bytes((made / "config.json").read_bytes())
    tensors = load_file(made / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors")
    return folder


def _without(part: str) -> Any:
    return lambda tensors: {n: t for n, t in tensors.items() if part not in n}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("transformers-dinov2", "layer_scale1.lambda1"),
        ("transformers-vit", "layernorm_before.bias"),
        ("transformers-vit", "layer.1.attention.attention.value.bias"),
        ("transformers-clip", "v_proj.bias"),
        ("timm-dinov2", "ls1.gamma"),
        ("timm-vit", "attn.qkv.bias"),
    ],
)
def test_a_torn_checkpoint_is_not_taken_for_a_plainer_model(
    name: str, part: str, tmp_path: Path
) -> None:
    made = ZOO[name].make(tmp_path / "whole")
    torn = _edited(made.folder, tmp_path / "torn", _without(part))
    with pytest.raises(InputError, match=f"no tensor .*{part}"):
        fold(str(torn))


def test_layers_heads_and_epsilons_that_cannot_be(tmp_path: Path, run: Run) -> None:
    made = HUGGING["vit"].make(tmp_path / "whole")
    path = made.folder / "config.json"
    config = path.read_text()
    for key, value, what in (
        ("num_hidden_layers", "1", "says 1 layers, the checkpoint has 2"),
        ("num_hidden_layers", "-1", "num_hidden_layers -1"),
        ("num_hidden_layers", "2.5", "num_hidden_layers 2.5"),
        ("num_hidden_layers", "1e308", "num_hidden_layers 1e"),
        ("num_attention_heads", "NaN", "num_attention_heads nan"),
        ("layer_norm_eps", "NaN", "epsilon of nan"),
        ("layer_norm_eps", "-1.0", "epsilon of -1"),
    ):
        path.write_text(re.sub(rf'"{key}": [^,\n]+', f'"{key}": {value}', config))
        result = run("fold", made.folder, "-o", tmp_path / "heads")
        assert result.exit_code == 3, (key, value, result.output)
        assert what in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.bool, torch.float8_e4m3fn])
def test_quantised_weights_are_refused(dtype: torch.dtype, tmp_path: Path) -> None:
    made = HUGGING["vit"].make(tmp_path / "whole")

    def quantise(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {n: t.to(dtype) if "value.weight" in n else t for n, t in tensors.items()}

    torn = _edited(made.folder, tmp_path / "quantised", quantise)
    with pytest.raises(InputError, match="quantised weights"):
        fold(str(torn))


def test_a_bias_of_another_length(tmp_path: Path) -> None:
    made = HUGGING["vit"].make(tmp_path / "whole")

    def double(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {n: t.repeat(2) if "value.bias" in n else t for n, t in tensors.items()}

    torn = _edited(made.folder, tmp_path / "double", double)
    with pytest.raises(InputError, match=r"value.bias has shape \(96,\)"):
        fold(str(torn))


def test_dry_run_finds_what_is_missing(tmp_path: Path, run: Run) -> None:
    made = HUGGING["vit"].make(tmp_path / "whole")
    for part in ("layer.1.attention.attention.value.weight", "layernorm."):
        torn = _edited(made.folder, tmp_path / part, _without(part))
        result = run("fold", torn, "--dry-run")
        assert result.exit_code == 3, result.output


def test_a_text_tower_beside_a_vision_tower_outside_the_algebra(tmp_path: Path) -> None:
    """A ResNet's text tower folds, and pools of its texts are of the same space."""
    from sithctl.models.opening import feature_space

    vision = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16}
    made = Open(vision, tower="text").make(tmp_path / "rn")
    heads = fold(str(made.folder), tower="text")
    assert heads.model.space == feature_space(open_model(str(made.folder), tower="text").location)
    with pytest.raises(InputError, match="a ResNet"):
        fold(str(made.folder))


def test_a_dual_encoder_is_refused(tmp_path: Path) -> None:
    from transformers import (
        BertConfig,
        VisionTextDualEncoderConfig,
        VisionTextDualEncoderModel,
        ViTConfig,
    )

    from tests.zoo import TEXT, VISION

    parts = (ViTConfig(**VISION), BertConfig(**TEXT))
    config = VisionTextDualEncoderConfig.from_vision_text_configs(*parts)
    VisionTextDualEncoderModel(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="not supported: a projection behind"):
        fold(str(tmp_path))


def test_a_torchscript_archive_is_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(tmp_path / "ViT-B-32.pt"))
    with pytest.raises(InputError, match="a TorchScript archive"):
        fold(str(tmp_path / "ViT-B-32.pt"), heads=1)


@pytest.mark.filterwarnings("ignore:no config beside it")
def test_wrapped_state_dicts(tmp_path: Path) -> None:
    made = ZOO["timm-vit"].make(tmp_path / "whole")
    state = load_file(made.folder / "model.safetensors")
    torch.save({"model": state, "epoch": 3}, tmp_path / "original.pth")
    ours = fold(str(tmp_path / "original.pth"), heads=3)
    assert (ours.layers[0].value == fold(str(made.folder)).layers[0].value).all()


def test_a_model_that_does_not_pool_is_refused(tmp_path: Path) -> None:
    made = Timm("vit_tiny_patch16_224", {"global_pool": ""}).make(tmp_path / "tokens")
    with pytest.raises(InputError, match="no pooling"):
        open_model(str(made.folder))


def test_models_are_named_by_paths_too(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every public function that takes a model; a path is never the name of another."""
    from PIL import Image

    import sithctl
    from sithctl.evaluation.seen import with_words
    from sithctl.stages.mean import ready_mean

    plan = sithctl.Plan.of([sithctl.Change(4, 0, 0, 0.5)])
    picture = Image.new("RGB", (48, 48), "red")
    functions: list[Callable[[Any], str]] = [
        lambda model: sithctl.fold(model, 4).digest,
        lambda model: sithctl.edit(model, plan).delta.digest,
        lambda model: sithctl.encode_pool(["red"], model).digest,
        lambda model: sithctl.mean([picture], model).digest,
        lambda model: ready_mean(np.ones(3), model=model).digest,
        lambda model: with_words(model)[0].location.name,
    ]
    for function in functions:
        assert function(tiny_clip) == function(str(tiny_clip))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenes").symlink_to(tiny_clip)
    assert sithctl.fold(Path("scenes"), 4).digest == sithctl.fold("./scenes", 4).digest
    with pytest.raises(InputError, match=r"\./missing: no such model|no such model.*missing"):
        sithctl.fold(Path("missing"))


def test_heads_beside_a_config_are_refused(tiny_clip: Path) -> None:
    with pytest.raises(InputError, match="leave out --heads"):
        fold(str(tiny_clip), heads=3)


@pytest.mark.filterwarnings("ignore:no config beside it")
def test_openai_names_in_a_state_dict(tmp_path: Path, run: Run) -> None:
    """OpenAI's tensors have OpenCLIP's names and a few numbers beside them."""
    made = ZOO["open_clip-vit"].make(tmp_path / "whole")
    state = load_file(made.folder / "open_clip_model.safetensors")
    extra = {n: torch.tensor(1) for n in ("input_resolution", "context_length", "vocab_size")}
    torch.save({**state, **extra}, tmp_path / "ViT.pt")
    out = tmp_path / "heads.safetensors"
    result = run("fold", tmp_path / "ViT.pt", "--heads", 3, "-o", out)
    assert result.exit_code == 0, result.output
    from sithctl.artifacts import load
    from sithctl.kinds import Heads

    assert (load(out, Heads).layers[0].value == fold(str(made.folder)).layers[0].value).all()


def test_names_of_no_family(tmp_path: Path) -> None:
    save_file({"a.weight": torch.zeros(3, 3)}, tmp_path / "odd.safetensors")
    with pytest.raises(InputError, match="tensor names of no family"):
        fold(str(tmp_path / "odd.safetensors"), heads=3)


def test_dry_run_shows_the_tensors_and_reads_none(
    tiny_clip: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sithctl.checkpoints.reader import Checkpoint

    def read(*_: object) -> None:
        raise AssertionError("nothing is to be read")

    monkeypatch.setattr(Checkpoint, "read", read)
    result = run("fold", tiny_clip, "--layers", 2, "--dry-run")
    assert result.exit_code == 0, result.output
    for name in ("layers.2.self_attn.v_proj.weight", "visual_projection.weight", "48 × 48", "F32"):
        assert name in result.output
    assert "layers.1." not in result.output


def test_models_lists_every_family(run: Run) -> None:
    from sithctl.models.families import FAMILIES

    table = run("models")
    assert table.exit_code == 0
    listed = json.loads(run("models", "--format", "json").output)
    assert {row["family"] for row in listed} == {f.name for f in FAMILIES if f.example}
    aim = next(row for row in listed if "aimv2_vision_model" in row["model_types"])
    assert aim["norm"] == "rms-norm"
    assert {row["pool"] for row in listed if row["tower"] == "text"} == {"texts"}
