"""Train the bundled model: ``python -m sithctl.scenes.train --out DIR``.

First the vision tower learns the factors from labels, one linear classifier a factor, and single
attention heads learn theirs (``lessons``); then both towers learn to match captions with pictures.
Contrastive training alone needs many times the steps.
A caption's positives are all the pictures of the batch that it is true of: with the own picture
alone, a short caption ("crimson") would be told that every other red picture is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import math
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPModel

from sithctl.scenes.captions import alone
from sithctl.scenes.factors import FACTORS
from sithctl.scenes.lessons import Lessons
from sithctl.scenes.model import build_model, build_processor, build_tokenizer, pixels
from sithctl.scenes.world import BIAS, captions, draw, holds
from sithctl.scenes.zero_shot import accuracy, spurious

CHECKPOINT = "training.pt"


class Trainer:
    """The model, its optimiser and the step it has come to; resumes from its own checkpoint."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = torch.device(options.device)
        self.tokenizer = build_tokenizer()
        self.model: CLIPModel = build_model(self.tokenizer, options.seed).to(self.device)
        width = self.model.config.vision_config.hidden_size
        self.heads = nn.ModuleList(nn.Linear(width, len(f.values)) for f in FACTORS)
        self.heads.to(self.device)
        self.lessons = Lessons(self.model.vision_model)
        self.step = 0
        self._restart_optimiser()

    def _restart_optimiser(self) -> None:
        named = [*self.model.named_parameters(), *self.heads.named_parameters()]
        decayed = [p for n, p in named if p.ndim > 1 and "embedding" not in n]
        others = [p for n, p in named if not (p.ndim > 1 and "embedding" not in n)]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}],
            betas=(0.9, 0.98),
        )

    def run(self, until: int | None = None) -> None:
        """Go on to the last step, or to step ``until``."""
        warm_up, total = self.options.warm_up, self.options.warm_up + self.options.steps
        total = min(total, until or total)
        started, first = time.monotonic(), self.step
        self.model.train()
        while self.step < total:
            if self.step == warm_up and warm_up:
                self._restart_optimiser()
            warming = self.step < warm_up
            rate = _rate(
                self.step if warming else self.step - warm_up,
                warm_up if warming else self.options.steps,
                self.options.warm_up_rate if warming else self.options.rate,
            )
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            loss = self._label_loss() if warming else self._contrastive_loss()
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            with torch.no_grad():
                self.model.logit_scale.clamp_(max=math.log(100))
            self.step += 1
            if self.step % self.options.every == 0 or self.step in (warm_up, total):
                seconds = (time.monotonic() - started) / (self.step - first)
                left = seconds * (total - self.step) / 60
                self._report(warming, loss.item(), seconds, left)
                self.save_checkpoint()

    def _label_loss(self) -> Tensor:
        size, seed = self.options.warm_up_batch, self.options.seed
        scenes = draw(size, _data_seed(seed, self.step), self.options.bias)
        seen = self.model.vision_model(pixels(scenes.pictures()).to(self.device)).pooler_output
        targets = scenes.factors.to(self.device)
        return self._taught(seen, targets)

    def _taught(self, seen: Tensor, targets: Tensor) -> Tensor:
        """Labels from the class token, and from what single heads write to it."""
        losses = [F.cross_entropy(head(seen), targets[:, i]) for i, head in enumerate(self.heads)]
        return torch.stack(losses).sum() + self.lessons.loss(self.heads, targets)

    def _contrastive_loss(self) -> Tensor:
        size, seed = self.options.batch, _data_seed(self.options.seed, self.step)
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

    def _report(self, warming: bool, loss: float, seconds: float, left: float) -> None:
        self.model.eval()
        if warming:
            shares, tail = self._label_accuracy(), ""
        else:
            shares = accuracy(self.encode_text, self.encode_pictures)
            pair = spurious(self.encode_text, self.encode_pictures)
            tail = f" · pair {pair.overall:.2f} worst {pair.worst:.2f}"
        self.model.train()
        figures = " ".join(f"{name} {share:.2f}" for name, share in shares.items())
        phase = "labels" if warming else "match "
        print(
            f"{phase} {self.step:5d} loss {loss:.3f} {seconds:.2f} s/step, {left:.0f} min left"
            f" · {figures}{tail}",
            file=sys.stderr,
            flush=True,
        )

    def save_checkpoint(self) -> None:
        path = self.options.out / CHECKPOINT
        state = {
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def resume(self, path: Path) -> None:
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

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


def _rate(step: int, steps: int, peak: float) -> float:
    ramp = min(1.0, (step + 1) / 100)
    return peak * ramp * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _data_seed(seed: int, step: int) -> int:
    return (seed + 1) * 1_000_000 + step


def keep_memory() -> None:
    """Tell glibc to keep freed memory: handing large activations back to the kernel and faulting
    them in again every step costs more than the arithmetic."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        trim_threshold, mmap_max = -1, -4  # malloc.h
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sithctl.scenes.train",
        description="Train the bundled CLIP on the rendered world.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the trained model")
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
        default=BIAS,
        help="share of the spurious shapes put in their own scene",
    )
    parser.add_argument("--every", type=int, default=100, help="steps between reports")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--until", type=int, help="stop early, after so many steps in all")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    keep_memory()
    trainer = Trainer(options)
    checkpoint = options.out / CHECKPOINT
    if options.resume and checkpoint.exists():
        trainer.resume(checkpoint)
    trainer.run(options.until)
    trainer.save_model()


if __name__ == "__main__":
    main()
