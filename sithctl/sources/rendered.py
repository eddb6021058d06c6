"""The rendered world as a source: pictures, captions, and the factors that are known of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from PIL import Image
from torch import Tensor

from sithctl.errors import InputError
from sithctl.scenes.captions import compose
from sithctl.scenes.factors import FACTORS
from sithctl.scenes.world import BIAS, BLOCK, Scenes, captions, draw
from sithctl.sources.images import Entry, Images, Wanted

WORLD_SIZE = 4096
COLUMNS = ("caption", "short")


class World(Images):
    """Freshly rendered scenes.

    As a data set it has two columns of captions: ``caption`` names every factor in its plain
    word, ``short`` some of them at random in any of their words.

    Args:
        wanted: limit, seed, columns.
        bias: 0, every factor drawn alone, or that of the bundled model's training pictures.
    """

    uses = frozenset({"caption_column", "detail_column", "seed"})

    def __init__(self, wanted: Wanted, bias: float = BIAS) -> None:
        for column in filter(None, (wanted.caption_column, wanted.detail_column)):
            if column not in COLUMNS:
                raise InputError(
                    f"the rendered scenes have no column {column}",
                    "scenes",
                    f"they have {', '.join(COLUMNS)}",
                )
        super().__init__("scenes", wanted.limit or WORLD_SIZE, wanted)
        self.bias = bias

    def entries(self) -> Iterator[Entry]:
        seed = self.wanted.seed
        scenes = draw(self.count, seed, self.bias)
        texts = self._texts(scenes)
        caption = texts.get(self.wanted.caption_column or "caption")
        detail = texts.get(self.wanted.detail_column or "")
        for start in range(0, self.count, BLOCK):
            for i, picture in enumerate(scenes.pictures(start, start + BLOCK), start):
                yield Entry(
                    f"scenes/{seed}/{i}",
                    partial(_picture, picture),
                    caption[i] if caption else None,
                    detail[i] if detail else None,
                    scenes.values(i),
                )

    def _texts(self, scenes: Scenes) -> dict[str, list[str]]:
        if not self.wanted.captions:
            return {}
        full = [plain_caption(scenes.values(i)) for i in range(len(scenes))]
        short, _ = captions(scenes, self.wanted.seed)
        return {"caption": full, "short": short}


def plain_caption(values: dict[str, str]) -> str:
    """A caption that names every factor, each by its plain word."""
    return compose({f.name: f.words[values[f.name]][0] for f in FACTORS})


def _picture(pixels: Tensor) -> Image.Image:
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())
