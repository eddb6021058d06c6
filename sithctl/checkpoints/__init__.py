"""Weights on disk, by tensor name."""
