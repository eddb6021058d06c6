"""Put a trained classifier into the package: ``python -m sithctl.scenes.release_classifier DIR``.

Copies the model, explains its heads by captioned scenes, and writes down what is measured.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from sithctl.models.locate import BUNDLED
from sithctl.scenes.factors import FACTORS, INDEX

NAME = "scenes-vit"
FILES = ("config.json", "model.safetensors", "preprocessor_config.json")

README = """# The bundled classifier: `scenes-vit`

A Vision Transformer of {parameters:.2f} million parameters (transformers'
`ViTForImageClassification`: {layers} layers, width {width}, {heads} heads, {side}-pixel pictures in
patches of {patch}) that was trained to tell the {count} shapes of rendered scenes, from labels
alone. It has no text tower, so its heads are explained by captioned pictures.

Trained by

```sh
{command}
python -m sithctl.scenes.release_classifier DIR
```

Accuracy on 1,000 freshly rendered scenes, every factor drawn alone: {accuracy:.3f}.

**What its heads' explanations name.** In COMP explanations of the last three layers by {pool:,}
captioned scenes, the share of the weight that lies on scenes of one value, factor by factor, beside
scenes drawn at random with the same weights. It was taught the shape and nothing else:

{table}"""


def write_readme(command: str) -> None:
    """The model's README, with what is measured of it now."""
    from transformers import ViTForImageClassification

    from sithctl.commands.chain import SCENES_IN_POOL, bundled_pool
    from sithctl.scenes.classifier import FACTOR, shape_accuracy
    from sithctl.scenes.grounded import LAYERS, as_markdown, measure
    from sithctl.stages.decompose import decompose
    from sithctl.stages.fold import fold
    from sithctl.stages.svd import svd

    folder = BUNDLED[NAME]
    model = ViTForImageClassification.from_pretrained(folder).eval()
    pool = bundled_pool(NAME)
    codes = decompose(svd(fold(NAME)), pool, layers=LAYERS)
    page = README.format(
        parameters=sum(p.numel() for p in model.parameters()) / 1e6,
        layers=model.config.num_hidden_layers,
        width=model.config.hidden_size,
        heads=model.config.num_attention_heads,
        side=model.config.image_size,
        patch=model.config.patch_size,
        count=len(FACTORS[INDEX[FACTOR]].values),
        command=command,
        accuracy=shape_accuracy(model),
        pool=SCENES_IN_POOL,
        table=as_markdown(measure(codes, pool)),
    )
    (folder / "README.md").write_text(page, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sithctl.scenes.release_classifier")
    parser.add_argument("folder", type=Path, help="what the trainer wrote")
    parser.add_argument(
        "--command",
        default="python -m sithctl.scenes.train --objective classification --warm-up 6000 "
        "--out DIR",
    )
    options = parser.parse_args()
    BUNDLED[NAME].mkdir(exist_ok=True)
    for name in FILES:
        shutil.copyfile(options.folder / name, BUNDLED[NAME] / name)
    write_readme(options.command)


if __name__ == "__main__":
    main()
