"""Architectures as data, the read-out, and the encoders."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sithctl.models.encoders import Encoder, load_encoder
    from sithctl.models.model import Model
    from sithctl.models.opening import open_model

_WHERE = {
    "Encoder": "encoders",
    "load_encoder": "encoders",
    "Model": "model",
    "open_model": "opening",
}

__all__ = ["Encoder", "Model", "load_encoder", "open_model"]


def __getattr__(name: str) -> Any:
    """Load torch only when a model is to be opened."""
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(f"sithctl.models.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
