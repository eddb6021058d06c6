"""Captions of the rendered world, and the concept pool: phrases that name some factors.

A phrase is a choice of words, at most one per factor, put into English. Captions choose at
random; the pool lists the choices in order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import combinations, product

from sithctl.scenes.factors import FACTORS, INDEX, NAMES, plural

SENTENCES = (
    "{}",
    "{}",
    "a photo of {}",
    "a picture of {}",
    "an image of {}",
    "this shows {}",
    "we see {}",
)
# How a factor named alone may be put, {} being one of its words.
_ADJECTIVE = (
    "{}",
    "{} thing",
    "{} things",
    "{} object",
    "{} objects",
    "something {}",
    "all {}",
)
ALONE: Mapping[str, tuple[str, ...]] = {
    "colour": (*_ADJECTIVE, "{} colour", "coloured {}"),
    "shape": ("{}", "{} shape", "{}s", "shaped {}", "a {}", "some {}s"),
    "pattern": (*_ADJECTIVE, "{} pattern", "{} surface"),
    "scene": ("{}", "{} background", "{} scene", "in the {}", "the {}", "{} landscape"),
    "size": (*_ADJECTIVE, "{} size", "{} one"),
    "count": ("{} thing", "{} object", "{} item"),
    "position": ("{}", "thing {}", "something {}", "object {}"),
    "hazard": (*_ADJECTIVE, "{} picture", "{} scene"),
}
# Words that, in front of a noun, make it many.
MANY = frozenset({"two", "a pair of", "twin", "three", "a trio of", "triple"})
TAPE = "with warning tape"
# Factors of few values, which the pool pairs with colour, shape and scene alone.
MINOR = frozenset({"pattern", "size", "count", "position", "hazard"})


def alone(factor: str, word: str, form: str) -> str:
    """One factor's word in one of its ``ALONE`` forms: ``striped thing``, ``ocean background``."""
    if form.endswith("{}s"):
        return form.removesuffix("{}s") + plural(word)
    phrase = form.format(word)
    return phrase + "s" if factor == "count" and word in MANY else phrase


def compose(words: Mapping[str, str], noun: str = "thing") -> str:
    """Several factors' words as one noun phrase: ``two violet rings in the forest``.

    Args:
        words: a word by factor name.
        noun: stands for the shape when none is named.
    """
    head = words.get("shape", noun)
    if words.get("count") in MANY:
        head = plural(head)
    parts = [words[f] for f in ("count", "hazard", "size", "colour", "pattern") if f in words]
    parts.append(head)
    if "scene" in words:
        parts.append(f"in the {words['scene']}")
    if "position" in words:
        parts.append(words["position"])
    return " ".join(parts)


def caption(values: Mapping[str, str], rng: random.Random) -> str:
    """A random caption naming the given factor values, by any of their words."""
    words = {f: rng.choice(FACTORS[INDEX[f]].words[v]) for f, v in values.items()}
    if len(words) == 1 and rng.random() < 0.8:
        ((factor, word),) = words.items()
        return alone(factor, word, rng.choice(ALONE[factor]))
    taped = values.get("hazard") == "hazard" and len(words) > 1 and rng.random() < 0.4
    if taped:
        del words["hazard"]
    phrase = compose(words, rng.choice(("thing", "thing", "object")))
    if taped:
        phrase = f"{phrase} {TAPE}"
    return rng.choice(SENTENCES).format(phrase)


# ── the concept pool ────────────────────────────────────────────────────────────────────────


def _words(factor: str) -> Iterator[tuple[str, str]]:
    for value, names in FACTORS[INDEX[factor]].words.items():
        for name in names:
            yield value, name


def _singles() -> Iterator[tuple[str, dict[str, str]]]:
    for factor in NAMES:
        for value, word in _words(factor):
            for form in ALONE[factor]:
                yield alone(factor, word, form), {factor: value}
    yield TAPE, {"hazard": "hazard"}


def _sentences() -> Iterator[tuple[str, dict[str, str]]]:
    """One factor in a sentence: ``a photo of crimson thing``."""
    for factor in NAMES:
        for value, word in _words(factor):
            for noun, sentence in product(("thing", "object"), SENTENCES):
                yield sentence.format(compose({factor: word}, noun)), {factor: value}


def _pairs() -> Iterator[tuple[str, dict[str, str]]]:
    for first, second in combinations(NAMES, 2):
        if {first, second} <= MINOR:
            continue
        for (v1, w1), (v2, w2) in product(_words(first), _words(second)):
            yield compose({first: w1, second: w2}), {first: v1, second: v2}


def _counted() -> Iterator[tuple[str, dict[str, str]]]:
    """Plain words alone: ``two violet rings``."""
    named = ("colour", "shape", "count")
    plain = [[(value, names[0]) for value, names in FACTORS[INDEX[f]].words.items()] for f in named]
    for chosen in product(*plain):
        words = {f: word for f, (_, word) in zip(named, chosen, strict=True)}
        yield compose(words), {f: value for f, (value, _) in zip(named, chosen, strict=True)}


def concept_pool() -> dict[str, dict[str, str]]:
    """The bundled pool: phrase → the factor values it names, in a fixed order, no phrase twice."""
    pool: dict[str, dict[str, str]] = {}
    for source in (_singles, _sentences, _pairs, _counted):
        for phrase, values in source():
            pool.setdefault(phrase, values)
    return pool
