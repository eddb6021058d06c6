"""How well a CLIP knows the world: zero-shot accuracy of each factor, and of the spurious pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from sithctl.evaluation.prompted import EncodeText, class_weights
from sithctl.scenes.captions import ALONE, alone, compose
from sithctl.scenes.factors import FACTORS, INDEX, SPURIOUS
from sithctl.scenes.world import draw, spurious_scenes

EncodePictures = Callable[[Tensor], Tensor]
Prompts = Callable[[str, str], list[str]]


@dataclass(frozen=True)
class Groups:
    """Accuracy of telling the spurious shapes apart, by (shape, scene) as in Waterbirds."""

    overall: float
    worst: float
    groups: dict[tuple[str, str], float]


def by_name(factor: str, word: str) -> list[str]:
    """A word in each of the forms that name it alone."""
    return [alone(factor, word, form) for form in ALONE[factor]]


def in_every_scene(factor: str, word: str) -> list[str]:
    """A word in each scene, so that none of them speaks for it; scenes by name."""
    if factor == "scene":
        return by_name(factor, word)
    scenes = FACTORS[INDEX["scene"]].words.values()
    return [compose({factor: word, "scene": names[0]}) for names in scenes]


def classifier(
    encode_text: EncodeText, factor: str, values: Sequence[str], prompts_of: Prompts
) -> Tensor:
    """(values, features) unit rows: the prompts of each value's words, averaged."""
    words = FACTORS[INDEX[factor]].words
    prompts = [[p for word in words[value] for p in prompts_of(factor, word)] for value in values]
    return class_weights(encode_text, prompts)


def accuracy(
    encode_text: EncodeText,
    encode_pictures: EncodePictures,
    n: int = 1000,
    seed: int = 10_000,
    bias: float = 0.0,
) -> dict[str, float]:
    """Zero-shot accuracy by factor on ``n`` freshly drawn scenes: every factor drawn alone, or with
    the world's ``bias``."""
    scenes = draw(n, seed, bias)
    features = encode_pictures(scenes.pictures())
    result = {}
    for factor in FACTORS:
        weights = classifier(encode_text, factor.name, factor.values, in_every_scene)
        guess = (features @ weights.T).argmax(1)
        result[factor.name] = (guess == scenes.factors[:, INDEX[factor.name]]).float().mean().item()
    return result


def spurious(
    encode_text: EncodeText, encode_pictures: EncodePictures, n: int = 1000, seed: int = 20_000
) -> Groups:
    """Zero-shot accuracy between the two spurious shapes, overall and by group."""
    scenes, group = spurious_scenes(n, seed)
    weights = classifier(encode_text, "shape", list(SPURIOUS), by_name)
    right = (encode_pictures(scenes.pictures()) @ weights.T).argmax(1) == group // 2
    pairs = [(shape, scene) for shape in SPURIOUS for scene in SPURIOUS.values()]
    groups = {pair: right[group == g].float().mean().item() for g, pair in enumerate(pairs)}
    return Groups(right.float().mean().item(), min(groups.values()), groups)
