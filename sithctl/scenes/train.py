"""Train the bundled models: ``python -m sithctl.scenes.train --out DIR``.

The CLIP (``--objective contrastive``): first its vision tower learns the factors from labels, one
linear classifier a factor, and single attention heads learn theirs (``lessons``); then both towers
learn to match captions with pictures. Contrastive training alone needs many times the steps.
A caption's positives are all the pictures of the batch that it is true of: with the own picture
alone, a short caption ("crimson") would be told that every other red picture is wrong.

The classifier (``--objective classification``, see ``classifier``) is a ViT without a text tower.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPModel

from sithctl.scenes.captions import alone
from sithctl.scenes.classifier import Classification
from sithctl.scenes.factors import FACTORS
from sithctl.scenes.lessons import Lessons
from sithctl.scenes.loop import CHECKPOINT, Trainer, data_seed, keep_memory
from sithctl.scenes.model import build_model, build_processor, build_tokenizer, pixels
from sithctl.scenes.world import BIAS, captions, draw, holds
from sithctl.scenes.zero_shot import accuracy, spurious


class Contrastive(Trainer):
    """Trains the bundled CLIP: a warm-up on labels, then captions."""

    def __init__(self, options: argparse.Namespace) -> None:
        device = torch.device(options.device)
        self.tokenizer = build_tokenizer()
        self.model: CLIPModel = build_model(self.tokenizer, options.seed).to(device)
        width = self.model.config.vision_config.hidden_size
        self.heads = nn.ModuleList(nn.Linear(width, len(f.values)) for f in FACTORS).to(device)
        self.lessons = Lessons(self.model.vision_model)
        super().__init__(options, {"model": self.model, "heads": self.heads})

    @property
    def phases(self) -> list[tuple[str, int, float]]:
        options = self.options
        return [
            ("labels", options.warm_up, options.warm_up_rate),
            ("match ", options.steps, options.rate),
        ]

    @property
    def warming(self) -> bool:
        return self.step < self.options.warm_up

    def loss(self) -> Tensor:
        return self._label_loss() if self.warming else self._contrastive_loss()

    def after_step(self) -> None:
        self.model.logit_scale.clamp_(max=math.log(100))

    def _label_loss(self) -> Tensor:
        size, seed = self.options.warm_up_batch, self.options.seed
        scenes = draw(size, data_seed(seed, self.step), self.options.bias)
        seen = self.model.vision_model(pixels(scenes.pictures()).to(self.device)).pooler_output
        targets = scenes.factors.to(self.device)
        return self._taught(seen, targets)

    def _taught(self, seen: Tensor, targets: Tensor) -> Tensor:
        """Labels from the class token, and from what single heads write to it."""
        losses = [F.cross_entropy(head(seen), targets[:, i]) for i, head in enumerate(self.heads)]
        return torch.stack(losses).sum() + self.lessons.loss(self.heads, targets)

    def _contrastive_loss(self) -> Tensor:
        size, seed = self.options.batch, data_seed(self.options.seed, self.step)
        scenes = draw(size, seed, self.options.bias)
        texts, claims = captions(scenes, seed)
        tokens = self.tokenizer(texts, padding=True, return_tensors="pt").to(self.device)
        seen = self.model.vision_model(pixels(scenes.pictures()).to(self.device)).pooler_output
        image = self.model.visual_projection(seen)
        text = self.model.get_text_features(**tokens).pooler_output
        scale = self.model.logit_scale.exp()
        logits = scale * F.normalize(text, dim=-1) @ F.normalize(image, dim=-1).T
        match = matching_loss(logits, holds(claims, scenes.factors).to(self.device))
        taught = self._taught(seen, scenes.factors.to(self.device))
        mean = F.normalize(image, dim=-1).mean(0).detach()
        scatter = self.lessons.scatter(self._words(), self.model.visual_projection, mean)
        return match + self.options.lessons * taught + self.options.scatter * scatter

    def _words(self) -> dict[str, Tensor]:
        """By factor, the features of its values' plain words: (values, features)."""
        prompts = [alone(f.name, words[0], "{}") for f in FACTORS for words in f.words.values()]
        tokens = self.tokenizer(prompts, padding=True, return_tensors="pt").to(self.device)
        features = self.model.get_text_features(**tokens).pooler_output
        parts = F.normalize(features, dim=-1).split([len(f.values) for f in FACTORS])
        return {f.name: part for f, part in zip(FACTORS, parts, strict=True)}

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> Tensor:
        tokens = self.tokenizer(texts, padding=True, return_tensors="pt").to(self.device)
        return F.normalize(self.model.get_text_features(**tokens).pooler_output, dim=-1).cpu()

    @torch.no_grad()
    def encode_pictures(self, pictures: Tensor) -> Tensor:
        parts = [
            self.model.get_image_features(pixel_values=pixels(p).to(self.device)).pooler_output
            for p in pictures.split(256)
        ]
        return F.normalize(torch.cat(parts), dim=-1).cpu()

    @torch.no_grad()
    def _label_accuracy(self) -> dict[str, float]:
        scenes = draw(512, 10_000)
        seen = self.model.vision_model(pixels(scenes.pictures()).to(self.device)).pooler_output
        guesses = torch.stack([head(seen).argmax(1) for head in self.heads], dim=1).cpu()
        shares = (guesses == scenes.factors).float().mean(0).tolist()
        return {f.name: share for f, share in zip(FACTORS, shares, strict=True)}

    def figures(self) -> str:
        if self.step <= self.options.warm_up:
            return _line(self._label_accuracy())
        pair = spurious(self.encode_text, self.encode_pictures)
        shares = accuracy(self.encode_text, self.encode_pictures)
        return f"{_line(shares)} · pair {pair.overall:.2f} worst {pair.worst:.2f}"

    def save_model(self) -> None:
        self.model.save_pretrained(self.options.out)
        self.tokenizer.save_pretrained(self.options.out)
        build_processor().save_pretrained(self.options.out)


def matching_loss(logits: Tensor, true: Tensor) -> Tensor:
    """Contrastive loss with many positives, both ways.

    Args:
        logits: (captions, pictures).
        true: (captions, pictures) bool, whether the caption holds of the picture; every row and
            column has one that does.
    """
    return (_one_way(logits, true) + _one_way(logits.T, true.T)) / 2


def _one_way(logits: Tensor, true: Tensor) -> Tensor:
    target = true.float() / true.sum(1, keepdim=True)
    return -(target * logits.log_softmax(1)).sum(1).mean()


def _line(shares: dict[str, float]) -> str:
    return " ".join(f"{name} {share:.2f}" for name, share in shares.items())


OBJECTIVES: dict[str, type[Contrastive] | type[Classification]] = {
    "contrastive": Contrastive,
    "classification": Classification,
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sithctl.scenes.train",
        description="Train a bundled model on the rendered world.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the trained model")
    parser.add_argument("--objective", choices=OBJECTIVES, default="contrastive")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warm-up", type=int, default=2000, help="steps on factor labels")
    parser.add_argument("--warm-up-batch", type=int, default=128)
    parser.add_argument("--warm-up-rate", type=float, default=1e-3)
    parser.add_argument("--steps", type=int, default=900, help="steps on captions")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--lessons", type=float, default=0.2, help="weight beside captions")
    parser.add_argument("--scatter", type=float, default=2.0, help="weight beside captions")
    parser.add_argument(
        "--bias",
        type=float,
        help=f"share of the spurious shapes put in their own scene "
        f"(contrastive: {BIAS}; classification: 0)",
    )
    parser.add_argument("--every", type=int, default=100, help="steps between reports")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--until", type=int, help="stop early, after so many steps in all")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    options = parser.parse_args(arguments)
    contrastive = options.objective == "contrastive"
    if options.bias is None:
        options.bias = BIAS if contrastive else 0.0
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    keep_memory()
    trainer = OBJECTIVES[options.objective](options)
    checkpoint = options.out / CHECKPOINT
    if options.resume and checkpoint.exists():
        trainer.resume(checkpoint)
    trainer.run(options.until)
    trainer.save_model()


if __name__ == "__main__":
    main()
