"""The text tower that says how like each other words and labels are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sithctl.errors import InputError

if TYPE_CHECKING:
    from sithctl.stages.similarity import Encode


def text_tower(model: str | None, own: str | None) -> tuple[str | None, Encode | None]:
    """The name and the text tower of a model; None where it has none, or is ``none``.

    Args:
        model: as the user named it.
        own: that of the codes, where the user named none.

    Raises:
        InputError: there is no such model.
    """
    name = model or own
    todo = "give --model MODEL, a model with a text tower, or --model none"
    if name is None:
        raise InputError("the codes do not say whose they are", None, todo)
    if name == "none":
        return None, None
    from sithctl.models import load_encoder
    from sithctl.views.console import output

    try:
        with output.working("loading the model"):
            encoder = load_encoder(name)
    except InputError as error:
        if model is not None:
            raise
        raise InputError(f"the codes' model is not to be had ({error.what})", name, todo) from error
    if not encoder.has_text:
        return None, None
    return encoder.location.name, lambda texts: encoder.encode_text(texts).double().numpy()
