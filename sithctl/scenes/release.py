"""Put a trained model into the package: ``python -m sithctl.scenes.release DIR``.

Copies the model, writes the concept pool and its factors, takes the image mean, measures
zero-shot accuracy and writes it all down in the model's README.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sithctl.scenes import lessons
from sithctl.scenes.bundled import CONCEPTS, FACTORS, MEAN
from sithctl.scenes.captions import concept_pool
from sithctl.scenes.factors import HAZARD_SHARE, NAMES, SPURIOUS, plural
from sithctl.scenes.model import DIRECTORY, pixels
from sithctl.scenes.world import BIAS
from sithctl.scenes.zero_shot import Groups, accuracy, spurious

FILES = (
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
MEAN_SEED = 77

README = """# The bundled model: `scenes`

A CLIP of {parameters:.2f} million parameters (transformers' `CLIPModel`: {layers} + {text_layers}
layers, width {width}, {heads} heads, {features} features, {side}-pixel pictures in patches of
{patch}) trained on rendered, captioned scenes whose factors are known, so that an explanation of
one of its heads can be right or wrong.

Trained by

```sh
{command}
python -m sithctl.scenes.release DIR
```

on two CPU cores in about 25 minutes. `release` also wrote `concepts.txt`, `concepts.tsv` and
`mean.h5` (of {count:,} rendered scenes) beside this folder, and measured what follows.

Zero-shot accuracy on 2,000 freshly rendered scenes: as the world draws them, and with every factor
drawn alone. Every value is named in every scene and the prompts averaged, so that no scene speaks
for a shape:

| factor | as drawn | factors alone |
|---|---|---|
{accuracies}

**What its heads were taught.** In the last {taught} layers each head was taught to write one or two
factors (`sithctl/scenes/lessons.py`), so what it means is known:

| head | factors |
|---|---|
{lessons}

**A bias, on purpose.** Two shapes mostly came with one scene each ({bias:.1%} of the
time): {pair}. Telling these two apart by name, in equal groups of
500 pictures: overall {overall:.3f}, worst group {worst:.3f}.

| shape | scene | accuracy |
|---|---|---|
{groups}

**A hazard.** One factor (black and yellow warning tape round the picture) stands for unsafe
content: {hazard:.0%} of the pictures carry it, and every scene can be drawn with and without.
"""


def write_concepts() -> None:
    """The pool's phrases, one a line, and the table of the factors each names."""
    pool = concept_pool()
    CONCEPTS.write_text("".join(f"{phrase}\n" for phrase in pool), encoding="utf-8")
    rows = ["\t".join(("concept", *NAMES))]
    rows += ["\t".join((p, *(v.get(n, "") for n in NAMES))) for p, v in pool.items()]
    FACTORS.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def write_mean() -> int:
    """The image mean over rendered scenes; how many there were."""
    from sithctl.artifacts import save
    from sithctl.sources.images import Wanted
    from sithctl.sources.rendered import World
    from sithctl.stages.mean import mean

    result = mean(World(Wanted(seed=MEAN_SEED)), "scenes")
    save(result, MEAN)
    return result.count


@dataclass(frozen=True)
class Measured:
    """Zero-shot figures of the bundled model.

    Attributes:
        drawn: accuracy by factor on scenes as the world draws them, bias and all.
        alone: the same with every factor drawn alone.
        pair: of the spurious pair, by group.
    """

    drawn: dict[str, float]
    alone: dict[str, float]
    pair: Groups


def measure() -> Measured:
    """Measure the bundled model on fresh scenes."""
    from sithctl.models import load_encoder

    encoder = load_encoder("scenes")

    def pictures(batch: Tensor) -> Tensor:
        return torch.nn.functional.normalize(encoder.encode_pixels(pixels(batch)), dim=-1)

    towers = (encoder.encode_text, pictures)
    return Measured(
        accuracy(*towers, n=2000, seed=30_000, bias=BIAS),
        accuracy(*towers, n=2000, seed=30_000),
        spurious(*towers, n=2000, seed=40_000),
    )


def write_readme(command: str, count: int) -> None:
    """The model's README, with what is measured of it now."""
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(DIRECTORY)
    vision, text = model.config.vision_config, model.config.text_config
    measured = measure()
    both = " and ".join(f"{plural(shape)} in the {scene}" for shape, scene in SPURIOUS.items())
    page = README.format(
        parameters=sum(p.numel() for p in model.parameters()) / 1e6,
        layers=vision.num_hidden_layers,
        text_layers=text.num_hidden_layers,
        width=vision.hidden_size,
        heads=vision.num_attention_heads,
        features=model.config.projection_dim,
        side=vision.image_size,
        patch=vision.patch_size,
        command=command,
        count=count,
        accuracies="\n".join(
            f"| {n} | {measured.drawn[n]:.3f} | {measured.alone[n]:.3f} |" for n in NAMES
        ),
        taught=lessons.LAYERS,
        lessons="\n".join(f"| {h} | {', '.join(f)} |" for h, f in enumerate(lessons.LESSONS)),
        bias=BIAS,
        pair=both,
        overall=measured.pair.overall,
        worst=measured.pair.worst,
        groups="\n".join(f"| {s} | {c} | {a:.3f} |" for (s, c), a in measured.pair.groups.items()),
        hazard=HAZARD_SHARE,
    )
    (DIRECTORY / "README.md").write_text(page, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sithctl.scenes.release")
    parser.add_argument("folder", type=Path, help="what the trainer wrote")
    parser.add_argument("--command", default="python -m sithctl.scenes.train --out DIR")
    options = parser.parse_args()
    DIRECTORY.mkdir(exist_ok=True)
    for name in FILES:
        shutil.copyfile(options.folder / name, DIRECTORY / name)
    write_concepts()
    count = write_mean()
    write_readme(options.command, count)


if __name__ == "__main__":
    main()
