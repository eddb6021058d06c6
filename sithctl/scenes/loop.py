"""The loop that every trainer of the bundled models shares: steps, optimiser, checkpoints."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import math
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

CHECKPOINT = "training.pt"


class Trainer(ABC):
    """Models in training, their optimiser and the step they have come to; resumes from its own
    checkpoint.

    Attributes:
        parts: what is trained and kept in checkpoints, by name.
        step: the steps done.
    """

    def __init__(self, options: argparse.Namespace, parts: dict[str, nn.Module]) -> None:
        self.options = options
        self.device = torch.device(options.device)
        self.parts = parts
        self.step = 0
        self._restart_optimiser()

    @abstractmethod
    def loss(self) -> Tensor:
        """Of this step's own scenes."""

    @abstractmethod
    def figures(self) -> str:
        """How good it is now, for a line of the report."""

    @abstractmethod
    def save_model(self) -> None:
        """Write the trained model as its library would."""

    @property
    @abstractmethod
    def phases(self) -> list[tuple[str, int, float]]:
        """Name, steps and peak learning rate of each phase; the optimiser starts afresh in each."""

    def after_step(self) -> None:  # noqa: B027 (not every trainer has something to do)
        """What must hold of the weights after each step."""

    def phase(self) -> tuple[str, int, int, float]:
        """The phase that this step belongs to: name, step within, steps, peak rate."""
        start = 0
        for name, steps, rate in self.phases:
            if self.step < start + steps:
                return name, self.step - start, steps, rate
            start += steps
        raise ValueError(f"no phase has a step {self.step}")

    def _restart_optimiser(self) -> None:
        named = [p for part in self.parts.values() for p in part.named_parameters()]
        decayed = [p for n, p in named if p.ndim > 1 and "embedding" not in n]
        others = [p for n, p in named if not (p.ndim > 1 and "embedding" not in n)]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}],
            betas=(0.9, 0.98),
        )

    def run(self, until: int | None = None) -> None:
        """Go on to the last step, or to step ``until``."""
        total = sum(steps for _, steps, _ in self.phases)
        total = min(total, until or total)
        started, first = time.monotonic(), self.step
        self._train(True)
        while self.step < total:
            name, within, steps, peak = self.phase()
            if within == 0 and self.step:
                self._restart_optimiser()
            loss = self._advance(_rate(within, steps, peak))
            if self.step % self.options.every == 0 or self.step == total or within + 1 == steps:
                seconds = (time.monotonic() - started) / (self.step - first)
                left = seconds * (total - self.step) / 60
                self._report(name, loss, seconds, left)
                self.save_checkpoint()

    def _advance(self, rate: float) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss = self.loss()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parts["model"].parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            self.after_step()
        self.step += 1
        return loss.item()

    def _train(self, on: bool) -> None:
        for part in self.parts.values():
            part.train(on)

    def _report(self, phase: str, loss: float, seconds: float, left: float) -> None:
        self._train(False)
        figures = self.figures()
        self._train(True)
        print(
            f"{phase} {self.step:5d} loss {loss:.3f} {seconds:.2f} s/step, {left:.0f} min left"
            f" · {figures}",
            file=sys.stderr,
            flush=True,
        )

    def save_checkpoint(self) -> None:
        path: Path = self.options.out / CHECKPOINT
        state: dict[str, Any] = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"optimiser": self.optimiser.state_dict(), "step": self.step}
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def resume(self, path: Path) -> None:
        state = torch.load(path, map_location=self.device, weights_only=True)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]


def _rate(step: int, steps: int, peak: float) -> float:
    ramp = min(1.0, (step + 1) / 100)
    return peak * ramp * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def data_seed(seed: int, step: int) -> int:
    """Of a step's scenes: no two steps, and no two training seeds, share any."""
    return (seed + 1) * 1_000_000 + step


def keep_memory() -> None:
    """Tell glibc to keep freed memory: handing large activations back to the kernel and faulting
    them in again every step costs more than the arithmetic."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        trim_threshold, mmap_max = -1, -4  # malloc.h
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)
