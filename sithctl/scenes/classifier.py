"""The bundled classifier: a small ViT that learns the shape from pictures and labels alone.

It has no text tower: the real case for concept pools of captioned pictures. Its world has no bias,
so that what a head says of shapes is not a scene in disguise.
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from sithctl.scenes.factors import FACTORS, INDEX
from sithctl.scenes.loop import Trainer, data_seed
from sithctl.scenes.model import MEAN, STD, pixels
from sithctl.scenes.render import SIDE
from sithctl.scenes.world import draw

FACTOR = "shape"
TEST_SEED, TEST_SIZE = 10_000, 1000


def build_classifier(seed: int) -> ViTForImageClassification:
    """A ViT of 6 layers, width 96, 6 heads of 16, freshly initialised."""
    torch.manual_seed(seed)
    values = FACTORS[INDEX[FACTOR]].values
    config = ViTConfig(
        hidden_size=96,
        intermediate_size=384,
        num_attention_heads=6,
        num_hidden_layers=6,
        image_size=SIDE,
        patch_size=8,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(values)),
        label2id={value: i for i, value in enumerate(values)},
    )
    return ViTForImageClassification(config)


def build_classifier_processor() -> ViTImageProcessor:
    return ViTImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=list(MEAN), image_std=list(STD)
    )


class Classification(Trainer):
    """Trains the bundled classifier."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.model = build_classifier(options.seed).to(torch.device(options.device))
        super().__init__(options, {"model": self.model})

    @property
    def phases(self) -> list[tuple[str, int, float]]:
        return [("shapes", self.options.warm_up, self.options.warm_up_rate)]

    def loss(self) -> Tensor:
        size, seed = self.options.warm_up_batch, data_seed(self.options.seed, self.step)
        scenes = draw(size, seed, self.options.bias)
        logits = self.model(pixels(scenes.pictures()).to(self.device)).logits
        return F.cross_entropy(logits, scenes.factors[:, INDEX[FACTOR]].to(self.device))

    def figures(self) -> str:
        return f"{FACTOR} {shape_accuracy(self.model):.3f}"

    def save_model(self) -> None:
        self.model.save_pretrained(self.options.out)
        build_classifier_processor().save_pretrained(self.options.out)


@torch.no_grad()
def shape_accuracy(model: ViTForImageClassification) -> float:
    """The share of fresh scenes whose shape the classifier tells."""
    scenes = draw(TEST_SIZE, TEST_SEED)
    logits = model(pixels(scenes.pictures()).to(model.device)).logits.cpu()
    return float((logits.argmax(1) == scenes.factors[:, INDEX[FACTOR]]).float().mean())
