"""What to edit: vectors named by hand, or by a judge's scores; ``relevance`` has the other ways.
Every way gives changes with the reason beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sithctl.errors import InputError, UsageError
from sithctl.kinds import Change, Codes
from sithctl.kinds.scores import HIGHEST, LOWEST, Score
from sithctl.stages.explain import Explanation, explain
from sithctl.stages.layers import parse_selection

Place = tuple[int, int, int]


def by_hand(text: str, counts: tuple[int, int, int], model: str) -> list[Change]:
    """``5.2.0=0``: layer, head, vector; ranges and ``*`` in each place.

    Args:
        text: as a user writes it.
        counts: how many layers, heads and vectors there are.
        model: named in errors.

    Raises:
        UsageError: not of that form.
        InputError: a place that is not there, or a factor that is no finite number.

    >>> [c.place for c in by_hand("4-5.*.0=0", (6, 2, 16), "scenes")]
    [(4, 0, 0), (4, 1, 0), (5, 0, 0), (5, 1, 0)]
    """
    places, _, factor = text.partition("=")
    parts = places.strip().split(".")
    try:
        scale = float(factor)
    except ValueError:
        raise UsageError(
            "not of the form 5.2.0=0", text, "write LAYER.HEAD.VECTOR=FACTOR"
        ) from None
    if len(parts) != 3:
        raise UsageError("not of the form 5.2.0=0", text, "write LAYER.HEAD.VECTOR=FACTOR")
    if not np.isfinite(scale):
        raise InputError(f"the factor {factor}", text, "give a finite number")
    nouns = ("layer", "head", "singular vector")
    layers, heads, vectors = (
        parse_selection(f"0-{count - 1}" if part == "*" else part, count, noun, model)
        for part, count, noun in zip(parts, counts, nouns, strict=True)
    )
    return [Change(a, b, c, scale, "by hand") for a in layers for b in heads for c in vectors]


def by_scores(scores: Sequence[Score], scale_of: Mapping[int, float]) -> list[Change]:
    """A judge's scores, the higher of a vector's two poles, mapped to factors.

    Raises:
        InputError: no vector has a score that is mapped.
    """
    best: dict[Place, Score] = {}
    for score in scores:
        place = (score.layer, score.head, score.sv)
        if place not in best or score.score > best[place].score:
            best[place] = score
    changes = [
        Change(*place, scale_of[s.score], f"score {s.score} ({s.pole}): {s.why or s.concepts}")
        for place, s in sorted(best.items())
        if s.score in scale_of
    ]
    if not changes:
        mapped = ", ".join(map(str, sorted(scale_of)))
        raise InputError(f"no vector has a score of {mapped}", None, "map other scores")
    return changes


def parse_map(text: str) -> dict[int, float]:
    """``3-5=0,2=0.5``: judge's scores → factors.

    >>> parse_map("3=-1,4-5=0")
    {3: -1.0, 4: 0.0, 5: 0.0}
    """
    result: dict[int, float] = {}
    for part in text.split(","):
        scores, _, factor = part.partition("=")
        try:
            low, _, high = scores.strip().partition("-")
            first, last, scale = int(low), int(high or low), float(factor)
        except ValueError:
            raise UsageError("not a map of scores", text, "write 3-5=0,2=0.5") from None
        if not LOWEST <= first <= last <= HIGHEST:
            todo = f"scores go from {LOWEST} to {HIGHEST}"
            raise UsageError("not a map of scores", text, todo)
        result |= dict.fromkeys(range(first, last + 1), scale)
        if not np.isfinite(scale):
            raise InputError(f"the factor {factor}", text, "give a finite number")
    return result


def both_poles(codes: Codes) -> Callable[[Place], list[Explanation]]:
    """Looks up what both signs of a vector are explained by: scaling σ touches both."""
    found: dict[Place, list[Explanation]] = {}
    for e in explain(codes):
        found.setdefault((e.layer, e.head, e.sv), []).append(e)
    return lambda place: found.get(place, [])
