"""Whether edits do what they say: suppress what heads write of one factor, measure all of them, and
do as much at random. ``python -m sithctl.scenes.edited`` prints the README's tables.

A random edit takes as many vectors of each layer as the edit does, and of a few hundred such draws
the one whose value-output energy is nearest to the edit's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sithctl.kinds import Change, Codes, Plan
from sithctl.models import load_encoder, open_model
from sithctl.scenes.factors import FACTORS, INDEX, NAMES
from sithctl.scenes.model import pixels
from sithctl.scenes.zero_shot import Groups, accuracy, spurious
from sithctl.stages.edit import edit
from sithctl.stages.planning import by_words

VECTORS = 96  # suppressed of a factor at most
SCENE_VECTORS = 48  # suppressed to undo the bias: the paper's Waterbirds
DRAWS = 300
SHOWN = ("pattern", "position", "hazard", "count")
SEEDS = {"accuracy": 81_000, "pair": 91_000}


@dataclass(frozen=True)
class Measured:
    """The bundled model's zero-shot figures under some edit.

    Attributes:
        vectors: how many were changed.
        accuracy: of each factor, every factor drawn alone.
        pair: telling the spurious pair apart, by group.
    """

    vectors: int
    accuracy: dict[str, float]
    pair: Groups


class Bench:
    """The bundled model, explained and ready to be edited and measured."""

    def __init__(self, codes: Codes, n: int = 1000) -> None:
        self.codes, self.n = codes, n
        self.model = open_model("scenes")
        self.encoder = load_encoder("scenes")
        module = self.encoder.model  # type: ignore[attr-defined]
        self.load: Callable[[dict[str, Tensor]], object] = module.load_state_dict
        self.original = {name: t.clone() for name, t in module.state_dict().items()}

    def suppressed(self, words: Iterable[str], most: int) -> list[Change]:
        """What ``sithctl edit --suppress WORDS --max-vectors MOST`` plans."""
        return by_words(
            self.codes,
            list(words),
            0.0,
            encode=lambda texts: self.encoder.encode_text(texts).numpy(),
            max_vectors=most,
        )

    def measure(self, changes: list[Change]) -> Measured:
        """Figures with these changes made."""
        changed = edit(self.model, Plan.of(changes)).changed if changes else {}
        names = {name.removeprefix("model."): name for name in self.original}
        self.load(self.original | {names[n]: t for n, t in changed.items()})
        towers = (self.encoder.encode_text, self._pictures)
        try:
            return Measured(
                len(changes),
                accuracy(*towers, n=self.n, seed=SEEDS["accuracy"]),
                spurious(*towers, n=self.n, seed=SEEDS["pair"]),
            )
        finally:
            self.load(self.original)

    def at_random(self, changes: list[Change], seed: int = 0) -> list[Change]:
        """As many vectors of each layer, of about the same energy."""
        rng = random.Random(seed)
        counts = {n: sum(c.layer == n for c in changes) for n in self.codes.layers}
        wanted = self._energy(c.place for c in changes)
        draws = [self._draw(counts, rng) for _ in range(DRAWS)]
        best = min(draws, key=lambda places: abs(self._energy(places) - wanted))
        return [Change(*place, 0.0, "at random") for place in best]

    def _draw(self, counts: dict[int, int], rng: random.Random) -> list[tuple[int, int, int]]:
        chosen = []
        for layer, count in counts.items():
            heads, rank = self.codes.layers[layer].singular_values.shape
            places = [(layer, h, i) for h in range(heads) for i in range(rank)]
            chosen += rng.sample(places, count)
        return chosen

    def _energy(self, places: Iterable[tuple[int, int, int]]) -> float:
        values = {n: layer.singular_values for n, layer in self.codes.layers.items()}
        return sum(float(values[n][h, i]) ** 2 for n, h, i in places)

    def _pictures(self, batch: Tensor) -> Tensor:
        return torch.nn.functional.normalize(self.encoder.encode_pixels(pixels(batch)), dim=-1)


def all_words(factor: str) -> list[str]:
    """Every word of every value of a factor."""
    return [word for words in FACTORS[INDEX[factor]].words.values() for word in words]


def bench(n: int = 1000) -> Bench:
    """The bundled model with the codes that a bare ``sithctl explain`` shows."""
    from sithctl.commands.chain import Chain
    from sithctl.stages.options import Options

    parts = Chain("scenes", None, None, Options()).codes(None)
    layers = {n: values for part in parts for n, values in part.layers.items()}
    return Bench(replace(parts[0], layers=layers), n)


@dataclass(frozen=True)
class Row:
    """One edit's figures, and those of a random edit of its size."""

    edited: Measured
    control: Measured


def measure(on: Bench, factors: Iterable[str] = SHOWN) -> dict[str, Row]:
    """Each factor's words suppressed, and its control."""
    rows = {}
    for name in factors:
        changes = on.suppressed(all_words(name), VECTORS)
        rows[name] = Row(on.measure(changes), on.measure(on.at_random(changes)))
    return rows


def unbias(on: Bench) -> Row:
    """All scenes' words suppressed, which the spurious pair leans on; and its control."""
    changes = on.suppressed(all_words("scene"), SCENE_VECTORS)
    return Row(on.measure(changes), on.measure(on.at_random(changes)))


def as_markdown(before: Measured, rows: dict[str, Row], unbiased: Row) -> str:
    """Both tables."""
    lines = ["| suppressed | vectors | its accuracy | the next hardest hit | at random |"]
    lines.append("|---|---|---|---|---|")
    for name, row in rows.items():
        drops = {n: before.accuracy[n] - row.edited.accuracy[n] for n in NAMES}
        other = max((n for n in NAMES if n != name), key=drops.__getitem__)
        lines.append(
            f"| {name} | {row.edited.vectors} | {before.accuracy[name]:.2f} → "
            f"{row.edited.accuracy[name]:.2f} | {other} −{max(0.0, drops[other]):.2f} | "
            f"{before.accuracy[name]:.2f} → {row.control.accuracy[name]:.2f} |"
        )
    lines += ["", "| spurious pair | overall | worst group |", "|---|---|---|"]
    for name, figures in (
        ("as trained", before),
        (f"scenes suppressed ({unbiased.edited.vectors} vectors)", unbiased.edited),
        ("as many at random", unbiased.control),
    ):
        lines.append(f"| {name} | {figures.pair.overall:.2f} | {figures.pair.worst:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    on = bench()
    print(as_markdown(on.measure([]), measure(on), unbias(on)), end="")


if __name__ == "__main__":
    main()
