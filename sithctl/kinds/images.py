"""An image on its way into a pool or a mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sithctl.kinds.pool import Factors

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class CaptionedImage:
    """A picture and what is said of it.

    Attributes:
        image: RGB.
        id: names it within its source: a path below the folder, a row, a scene.
        caption: one line; empty where the source was not asked for captions.
        detail: a second, detailed caption, where there is one.
        factors: the picture's factor values, where they are known; its attributes, where the
            source was asked for them.
    """

    image: Image
    id: str
    caption: str = ""
    detail: str | None = None
    factors: Factors | None = None


@dataclass(frozen=True, eq=False)
class Arrival:
    """One place of a source of images, whether its picture was read or not.

    Attributes:
        said: what the source says of it without reading it: id, captions, factors.
        item: the picture, or what was taken of it; None where it was not asked for, or could not be
            read.
        id: names it within its source.
        reason: why it could not be read; empty where it was, or was not asked for.
    """

    said: str
    item: Any
    id: str = ""
    reason: str = ""


@dataclass(frozen=True)
class ClassNames:
    """What classes are called.

    Attributes:
        names: by label those that prompts take.
        labelled: the keys are labels; else they may also be the names of numbered labels in order.
        source: where this is written.
    """

    names: dict[str, tuple[str, ...]]
    labelled: bool
    source: str
