"""The rendered world as a source: pictures, captions, and the factors that are known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from PIL import Image
from torch import Tensor

from sithctl.errors import InputError
from sithctl.scenes.captions import compose
from sithctl.scenes.factors import FACTORS, INDEX, Factor
from sithctl.scenes.world import BIAS, BLOCK, Scenes, captions, draw, spurious_scenes
from sithctl.sources.images import Entry, Images, Wanted

COLUMNS = ("caption", "short")
PROBED = 1000  # scenes that show which values a kind of world has


@dataclass(frozen=True)
class Kind:
    """One way to draw scenes.

    Attributes:
        draw: so many scenes of a seed.
        groups: factors whose groups it is made for.
    """

    draw: Callable[[int, int], Scenes]
    groups: tuple[str, ...] = ()


# The hazards' pairs are the same scenes but for the tape: row i of one belongs to row i of the
# other.
WORLDS: dict[str, Kind] = {
    "scenes": Kind(partial(draw, bias=BIAS)),
    "scenes:images": Kind(draw),
    "scenes:spurious": Kind(lambda n, seed: spurious_scenes(n, seed)[0], ("scene",)),
    "scenes:safe": Kind(lambda n, seed: draw(n, seed).only(hazard="safe")),
    "scenes:hazard": Kind(lambda n, seed: draw(n, seed).only(hazard="hazard")),
}
PLAIN = ("scenes", "scenes:images")  # whose pictures are named alike


def world(name: str, wanted: Wanted) -> World:
    """Rendered scenes by one of the names in ``WORLDS``.

    Raises:
        InputError: there is no such world, or no such column.
    """
    if name not in WORLDS:
        raise InputError("no such rendered world", name, f"one of {', '.join(WORLDS)}")
    return World(wanted, WORLDS[name], "scenes" if name in PLAIN else name)


class World(Images):
    """Freshly rendered scenes.

    As a data set it has two columns of captions: ``caption`` names every factor in its plain
    word, ``short`` some of them at random in any of their words. Its attributes are the factors.

    Args:
        wanted: limit, seed, columns.
        kind: how they are drawn: as the bundled model's training pictures unless told.
        name: begins the pictures' ids.
    """

    uses = frozenset({"caption_column", "detail_column", "seed"})

    def __init__(self, wanted: Wanted, kind: Kind = WORLDS["scenes"], name: str = "scenes") -> None:
        for column in filter(None, (wanted.caption_column, wanted.detail_column)):
            if column not in COLUMNS:
                raise InputError(
                    f"the rendered scenes have no column {column}",
                    "scenes",
                    f"they have {', '.join(COLUMNS)}",
                )
        super().__init__(name, wanted.limit or wanted.endless, wanted)
        self.kind, self.groups = kind, kind.groups
        if wanted.attributes:
            probe = kind.draw(PROBED, 0)
            self.attributes = {f.name: _values(probe, f) for f in FACTORS}

    def entries(self) -> Iterator[Entry]:
        seed = self.wanted.seed
        scenes = self.kind.draw(self.count, seed)
        texts = self._texts(scenes)
        caption = texts.get(self.wanted.caption_column or "caption")
        detail = texts.get(self.wanted.detail_column or "")
        for start in range(0, self.count, BLOCK):
            for i, picture in enumerate(scenes.pictures(start, start + BLOCK), start):
                yield Entry(
                    f"{self.name}/{seed}/{i}",
                    partial(_picture, picture),
                    caption[i] if caption else None,
                    detail[i] if detail else None,
                    scenes.values(i),
                )

    def values(self, column: str) -> set[str]:
        scenes = self.kind.draw(self.count, self.wanted.seed)
        return set(_values(scenes, FACTORS[INDEX[column]]))

    def _texts(self, scenes: Scenes) -> dict[str, list[str]]:
        if not self.wanted.captions:
            return {}
        full = [plain_caption(scenes.values(i)) for i in range(len(scenes))]
        short, _ = captions(scenes, self.wanted.seed)
        return {"caption": full, "short": short}


def plain_caption(values: dict[str, str]) -> str:
    """A caption that names every factor, each by its plain word."""
    return compose({f.name: f.words[values[f.name]][0] for f in FACTORS})


def _values(scenes: Scenes, factor: Factor) -> tuple[str, ...]:
    """The values of a factor that there are among scenes."""
    there = set(scenes.factors[:, INDEX[factor.name]].tolist())
    return tuple(value for i, value in enumerate(factor.values) if i in there)


def _picture(pixels: Tensor) -> Image.Image:
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())
