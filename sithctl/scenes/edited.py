"""Whether edits do what they say: suppress what heads write of one factor, measure all of them, and
do as much at random. ``python -m sithctl.scenes.edited`` prints the README's table.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from sithctl.evaluation.prompted import EncodeText
from sithctl.kinds import Array, Change, Codes, Plan
from sithctl.models import load_encoder, open_model
from sithctl.models.live import edited
from sithctl.scenes.factors import FACTORS, INDEX, NAMES
from sithctl.scenes.model import pixels
from sithctl.scenes.zero_shot import EncodePictures, accuracy
from sithctl.stages.control import at_random
from sithctl.stages.edit import edit
from sithctl.stages.relevance import by_words

VECTORS = 96  # suppressed of a factor at most
SHOWN = ("pattern", "position", "hazard", "count")
SCENES, SEED = 1000, 91_000  # no seed that anything was chosen by


class Bench:
    """The bundled model, explained and ready to be edited and measured."""

    def __init__(self, codes: Codes) -> None:
        self.codes = codes
        self.model = open_model("scenes")
        self.encoder = load_encoder("scenes")

    def suppressed(self, words: Iterable[str], most: int) -> list[Change]:
        """What ``sithctl edit --suppress WORDS --max-vectors MOST`` plans."""
        return by_words(
            self.codes,
            list(words),
            0.0,
            encode=lambda texts: self.encoder.encode_text(texts).numpy(),
            max_vectors=most,
        )

    def accuracy(self, changes: list[Change]) -> dict[str, float]:
        """Of each factor with these changes made, every factor drawn alone."""
        with self._edited(changes):
            return accuracy(*self._towers, n=SCENES, seed=SEED)

    def _edited(self, changes: list[Change]) -> AbstractContextManager[None]:
        changed = edit(self.model, Plan.of(changes)).changed if changes else {}
        return edited(self.encoder, self.model, changed)

    @property
    def _towers(self) -> tuple[EncodeText, EncodePictures]:
        return self.encoder.encode_text, self._pictures

    def at_random(self, changes: list[Change], seed: int = 0) -> list[Change]:
        """As many vectors of each layer, of about the same energy."""
        return at_random(changes, self.sigma, seed)

    @property
    def sigma(self) -> dict[int, Array]:
        return {n: layer.singular_values for n, layer in self.codes.layers.items()}

    def _pictures(self, batch: Tensor) -> Tensor:
        return torch.nn.functional.normalize(self.encoder.encode_pixels(pixels(batch)), dim=-1)


def all_words(factor: str) -> list[str]:
    """Every word of every value of a factor."""
    return [word for words in FACTORS[INDEX[factor]].words.values() for word in words]


def bench() -> Bench:
    """The bundled model with the codes that a bare ``sithctl explain`` shows."""
    from sithctl.commands.chain import Chain
    from sithctl.stages.joining import joined
    from sithctl.stages.options import Options

    return Bench(joined(Chain("scenes", None, None, Options()).codes(None)))


@dataclass(frozen=True)
class Suppressed:
    """A factor's words suppressed.

    Attributes:
        vectors: how many were.
        drops: of each factor's accuracy.
        at_random: the drop of this factor's accuracy by a random edit.
    """

    vectors: int
    drops: dict[str, float]
    at_random: float

    def next_hit(self, factor: str) -> str:
        """The factor that is hit hardest beside the one meant."""
        return max((n for n in NAMES if n != factor), key=self.drops.__getitem__)


def suppress(on: Bench, factor: str, before: dict[str, float]) -> Suppressed:
    """Suppress all words of a factor, and as much at random."""
    changes = on.suppressed(all_words(factor), VECTORS)
    after, control = on.accuracy(changes), on.accuracy(on.at_random(changes))
    drops = {name: before[name] - after[name] for name in NAMES}
    return Suppressed(len(changes), drops, before[factor] - control[factor])


def as_markdown(before: dict[str, float], rows: dict[str, Suppressed]) -> str:
    """The table."""
    lines = ["| suppressed | vectors | its accuracy | next hardest hit | at random |"]
    lines.append("|---|---|---|---|---|")
    for name, row in rows.items():
        was, other = before[name], row.next_hit(name)
        lines.append(
            f"| {name} | {row.vectors} | {was:.2f} → {was - row.drops[name]:.2f} | "
            f"{other}: {before[other]:.2f} → {before[other] - row.drops[other]:.2f} | "
            f"{was:.2f} → {was - row.at_random:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    on = bench()
    before = on.accuracy([])
    rows = {name: suppress(on, name, before) for name in SHOWN}
    print(as_markdown(before, rows), end="")


if __name__ == "__main__":
    main()
