"""Weights on disk, by tensor name."""

from sithctl.checkpoints.reader import Checkpoint

__all__ = ["Checkpoint"]
