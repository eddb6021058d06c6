"""Fine-tune the bundled CLIP on one factor: ``python -m sithctl.scenes.adapt --factor shape``.

The vision tower learns to tell a factor's values apart on scenes in which every factor is drawn
alone; the text tower, which says what each value is, stays. Whole, or by LoRA (Hu et al., 2022) in
attention's four projections, written in peft's layout, so that ``sithctl fold`` reads either.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import AutoTokenizer, CLIPModel

from sithctl.scenes.factors import FACTORS, INDEX, NAMES
from sithctl.scenes.loop import data_seed, keep_memory
from sithctl.scenes.model import DIRECTORY, build_processor, pixels
from sithctl.scenes.world import draw
from sithctl.scenes.zero_shot import classifier, in_every_scene

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")
FIRST_SEED = 500  # of the scenes: training used 0, and what is measured has none above a million


class LowRank(nn.Module):
    """W + (α/r) B A in place of W, of which only A and B learn; B starts at 0."""

    def __init__(self, weight: Tensor, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        out, inside = weight.shape
        self.down = nn.Parameter(torch.randn(rank, inside, generator=generator) / inside**0.5)
        self.up = nn.Parameter(torch.zeros(out, rank))
        self.scaling = alpha / rank

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scaling * self.up @ self.down


def adapt(options: argparse.Namespace) -> CLIPModel:
    """The fine-tuned model; with LoRA its parametrised linear maps are still in it."""
    torch.manual_seed(options.seed)
    model = CLIPModel.from_pretrained(DIRECTORY)
    classes = _classes(model, options.factor)
    learning = _learning(model, options)
    optimiser = torch.optim.AdamW(learning, lr=options.rate, weight_decay=0.0)
    model.train()
    for step in range(options.steps):
        for group in optimiser.param_groups:
            group["lr"] = options.rate * min(1.0, (step + 1) / 10, (options.steps - step) / 20)
        loss = _loss(model, classes, options, step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return model.eval()


@torch.no_grad()
def _classes(model: CLIPModel, factor: str) -> Tensor:
    """(values, features): what the text tower makes of each value's name."""
    tokenizer = AutoTokenizer.from_pretrained(DIRECTORY)

    def encode(texts: list[str]) -> Tensor:
        tokens = tokenizer(texts, padding=True, return_tensors="pt")
        return model.get_text_features(**tokens).pooler_output

    return classifier(encode, factor, FACTORS[INDEX[factor]].values, in_every_scene)


def _learning(model: CLIPModel, options: argparse.Namespace) -> list[nn.Parameter]:
    """The parameters that learn: those of the vision tower's layers, or LoRA's own.

    The read-out stays: so base and fine-tuned model speak of one feature space.
    """
    model.requires_grad_(False)
    layers = model.vision_model.encoder.layers
    if not options.lora:
        layers.requires_grad_(True)
        return list(layers.parameters())
    generator = torch.Generator().manual_seed(options.seed)
    found: list[nn.Parameter] = []
    for layer in layers:
        for name in PROJECTIONS:
            linear = getattr(layer.self_attn, name)
            low = LowRank(linear.weight, options.rank, options.alpha, generator)
            parametrize.register_parametrization(linear, "weight", low)
            found += low.parameters()
    return found


def _loss(model: CLIPModel, classes: Tensor, options: argparse.Namespace, step: int) -> Tensor:
    scenes = draw(options.batch, data_seed(FIRST_SEED + options.seed, step))
    seen = model.get_image_features(pixel_values=pixels(scenes.pictures())).pooler_output
    logits = model.logit_scale.exp() * F.normalize(seen, dim=-1) @ classes.T
    return F.cross_entropy(logits, scenes.factors[:, INDEX[options.factor]])


def save_adapter(model: CLIPModel, options: argparse.Namespace) -> None:
    """LoRA's factors as peft writes them."""
    tensors: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if not parametrize.is_parametrized(module, "weight"):
            continue
        low = module.parametrizations["weight"][0]
        tensors[f"base_model.model.{name}.lora_A.weight"] = low.down.detach().contiguous()
        tensors[f"base_model.model.{name}.lora_B.weight"] = low.up.detach().contiguous()
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": options.base or str(DIRECTORY),
        "r": options.rank,
        "lora_alpha": options.alpha,
        "target_modules": list(PROJECTIONS),
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, options.out / "adapter_model.safetensors")
    (options.out / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


def save_whole(model: CLIPModel, options: argparse.Namespace) -> None:
    """The model with its tokenizer and processor, as transformers writes them."""
    model.save_pretrained(options.out)
    AutoTokenizer.from_pretrained(DIRECTORY).save_pretrained(options.out)
    build_processor().save_pretrained(options.out)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sithctl.scenes.adapt",
        description="Fine-tune the bundled CLIP on one factor of the rendered world.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of what is written")
    parser.add_argument("--factor", choices=NAMES, default="shape")
    parser.add_argument("--lora", action="store_true", help="low-rank updates of attention alone")
    parser.add_argument("--rank", type=int, default=4, help="of LoRA")
    parser.add_argument("--alpha", type=float, default=8.0, help="of LoRA")
    parser.add_argument("--base", help="what the adapter calls its base; else the bundled folder")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    keep_memory()
    model = adapt(options)
    (save_adapter if options.lora else save_whole)(model, options)


if __name__ == "__main__":
    main()
