"""Architectures as data, the read-out, and the encoders."""

from sithctl.models.encoders import Encoder, load_encoder
from sithctl.models.model import Model, open_model

__all__ = ["Encoder", "Model", "load_encoder", "open_model"]
