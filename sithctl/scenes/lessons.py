"""What single heads are taught: each of the last layers' heads to write one or two factors.

Left alone, a head writes a bit of everything, and the singular vectors of equally strong writings
are any rotation of them. Here the vector that a head adds to the class token must, read by the
factors' own classifiers, tell the head's factors and say nothing of the others (``loss``); and all
that a head can write must, read out as ``decompose`` does it, lie where its factors' words lie
(``scatter``). So it is known what each head ought to mean, and an explanation can be held against
that.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sithctl.scenes.factors import INDEX, NAMES

LAYERS = 3  # the last so many
# Factors of each head, the same in every taught layer: more heads where there are more values.
LESSONS: tuple[tuple[str, ...], ...] = (
    ("colour",),
    ("colour",),
    ("shape",),
    ("shape",),
    ("scene",),
    ("pattern",),
    ("position",),
    ("count", "size", "hazard"),
)


class Lessons:
    """Listens to what the heads of the last layers write, and marks it."""

    def __init__(self, tower: Any) -> None:
        self.norm: nn.Module = tower.post_layernorm
        self.projections: list[nn.Linear] = []
        self._read: dict[int, Tensor] = {}
        for i, layer in enumerate(tower.encoder.layers[-LAYERS:]):
            projection = layer.self_attn.out_proj
            projection.register_forward_pre_hook(self._listener(i))
            self.projections.append(projection)

    def _listener(self, i: int) -> Any:
        def listen(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._read[i] = inputs[0][:, 0]

        return listen

    def loss(self, classifiers: nn.ModuleList, factors: Tensor) -> Tensor:
        """How far the heads' last writings are from telling their factors alone.

        Args:
            classifiers: one a factor, on the tower's final norm.
            factors: (pictures, factors) int64, the truth.
        """
        total = factors.new_zeros((), dtype=self._read[0].dtype)
        for i, projection in enumerate(self.projections):
            written = self._written(self._read[i], projection)
            for f, name in enumerate(NAMES):
                logits = classifiers[f](self.norm(written))  # (pictures, heads, values)
                total = total + _marks(logits, factors[:, INDEX[name]], name)
        return total / (LAYERS * len(LESSONS))

    def scatter(self, words: dict[str, Tensor], project: nn.Module, mean: Tensor) -> Tensor:
        """The share of the heads' writing that lies outside the span of their factors' words.

        Args:
            words: by factor, (values, features), a feature a value.
            project: from the final norm to the features.
            mean: (features,), of unit-norm image features.
        """
        spans = [_span([words[name] for name in lesson]) for lesson in LESSONS]
        outside = []
        for projection in self.projections:
            weight = projection.weight.view(projection.out_features, len(LESSONS), -1)
            writers = weight.permute(1, 0, 2)  # (heads, width, head_dim)
            basis = torch.linalg.qr(writers - writers.mean(1, keepdim=True)).Q.mT
            both = torch.cat([basis, -basis], 1)
            features = F.normalize(project(self.norm(both)), dim=-1)
            features = F.normalize(features - mean, dim=-1)
            for head, span in enumerate(spans):
                outside.append(1 - (features[head] @ span).square().sum(-1).mean())
        return torch.stack(outside).mean()

    def _written(self, read: Tensor, projection: nn.Linear) -> Tensor:
        """(pictures, heads, width): what each head adds to the class token."""
        heads = len(LESSONS)
        weight = projection.weight.view(projection.out_features, heads, -1)
        return torch.einsum("phd,whd->phw", read.view(len(read), heads, -1), weight)


def _span(words: list[Tensor]) -> Tensor:
    """An orthonormal basis, (features, k), of what several factors' values differ by."""
    differences = torch.cat([w[1:] - w[:1] for w in words])
    return torch.linalg.qr(differences.T).Q


def _marks(logits: Tensor, truth: Tensor, factor: str) -> Tensor:
    taught = [factor in lesson for lesson in LESSONS]
    log_shares = logits.log_softmax(-1)
    told = -log_shares.gather(-1, truth.view(-1, 1, 1).expand(*logits.shape[:2], 1)).mean(0)
    silent = F.kl_div(
        log_shares, log_shares.new_full(log_shares.shape, 1 / logits.shape[-1]), reduction="none"
    )
    silent = silent.sum(-1).mean(0)
    return sum(
        (told[h, 0] if is_taught else silent[h] for h, is_taught in enumerate(taught)),
        start=logits.new_zeros(()),
    )
