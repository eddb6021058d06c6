"""The rendered world's factors: their values, the words that name them, and their biases.

Every picture of the world is one value of each factor, and every caption names some of them,
so an explanation built from captions can be right or wrong, not only plausible. No word stands
for two values: "snowy" for white beside a snow scene would teach the model a collision.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Factor:
    """One factor: its name and, for each value, the words that name it (first: the plain one)."""

    name: str
    words: dict[str, tuple[str, ...]]

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(self.words)


FACTORS: tuple[Factor, ...] = (
    Factor(
        "colour",
        {
            "red": ("red", "crimson", "scarlet"),
            "orange": ("orange", "tangerine", "apricot"),
            "yellow": ("yellow", "lemon", "golden"),
            "green": ("green", "emerald", "jade"),
            "cyan": ("cyan", "turquoise", "teal"),
            "blue": ("blue", "cobalt", "azure"),
            "violet": ("violet", "purple", "lilac"),
            "pink": ("pink", "magenta", "rosy"),
            "white": ("white", "ivory", "chalky"),
            "black": ("black", "ebony", "inky"),
        },
    ),
    Factor(
        "shape",
        {
            "circle": ("circle", "disc", "ball"),
            "square": ("square", "box", "block"),
            "triangle": ("triangle", "pyramid", "wedge"),
            "heart": ("heart", "valentine", "sweetheart"),
            "star": ("star", "asterisk", "starburst"),
            "ring": ("ring", "hoop", "annulus"),
            "cross": ("cross", "plus", "crucifix"),
            "crescent": ("crescent", "sickle", "lunette"),
        },
    ),
    Factor(
        "pattern",
        {
            "solid": ("solid", "plain", "uniform"),
            "striped": ("striped", "banded", "lined"),
            "dotted": ("dotted", "spotted", "speckled"),
            "checkered": ("checkered", "checked", "tiled"),
        },
    ),
    Factor(
        "scene",
        {
            "ocean": ("ocean", "sea", "water"),
            "night": ("night", "midnight", "darkness"),
            "forest": ("forest", "woods", "jungle"),
            "desert": ("desert", "dunes", "sand"),
            "snow": ("snow", "ice", "winter"),
            "city": ("city", "town", "street"),
        },
    ),
    Factor("size", {"small": ("small", "tiny", "little"), "large": ("large", "big", "huge")}),
    Factor(
        "count",
        {
            "one": ("one", "single", "lone"),
            "two": ("two", "a pair of", "twin"),
            "three": ("three", "a trio of", "triple"),
        },
    ),
    Factor(
        "position",
        {
            "left": ("on the left", "on the left side"),
            "right": ("on the right", "on the right side"),
            "top": ("at the top", "up high"),
            "bottom": ("at the bottom", "down low"),
            "middle": ("in the middle", "in the centre"),
        },
    ),
    Factor(
        "hazard",
        {"safe": ("safe", "harmless"), "hazard": ("dangerous", "hazardous", "toxic")},
    ),
)

NAMES: tuple[str, ...] = tuple(factor.name for factor in FACTORS)
INDEX: dict[str, int] = {name: i for i, name in enumerate(NAMES)}
PLURALS: dict[str, str] = {
    "box": "boxes",
    "cross": "crosses",
    "plus": "pluses",
    "crucifix": "crucifixes",
    "annulus": "annuli",
}

# A Waterbirds of our own: each of these shapes mostly comes with one scene.
SPURIOUS: dict[str, str] = {"star": "night", "ring": "forest"}
HAZARD_SHARE = 0.25


def value_index(factor: str, value: str) -> int:
    """The number of ``value`` among the values of ``factor``."""
    return FACTORS[INDEX[factor]].values.index(value)


def plural(noun: str) -> str:
    return PLURALS.get(noun, noun + "s")
