"""The files between stages: reading, writing, pipes, the cache."""

from sithctl.artifacts.store import load, save

__all__ = ["load", "save"]
