"""The files between stages: reading, writing, pipes, the cache."""

from sithctl.artifacts.store import load, read_document, save

__all__ = ["load", "read_document", "save"]
