"""What the shells offer as values of options and arguments: callbacks for Typer's completion."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

Offers = list[tuple[str, str]]  # a value, and a word about it
Complete = Callable[[str], Offers]

MODELS = {
    "scenes": "the bundled CLIP",
    "scenes-vit": "the bundled classifier",
    "open_clip:": "NAME/TAG of OpenCLIP",
    "timm:": "NAME of timm",
}
TEXTS = {
    "scenes": "the bundled concepts",
    "conceptnet": "fetched",
    "wordnet": "fetched",
}
IMAGES = {
    "scenes": "rendered, as the model learnt them",
    "scenes:images": "rendered",
    "scenes:spurious": "rendered, with a bias",
    "scenes:safe": "rendered, without hazards",
    "scenes:hazard": "the same with hazards",
    "recap-coco": "fetched",
    "lvis-gpt4v": "fetched",
    "hf:": "NAME of a data set on the hub",
}


def files(*suffixes: str, words: dict[str, str] | None = None) -> Complete:
    """Files by suffix, folders on the way to them, and words."""

    def complete(incomplete: str) -> Offers:
        return [*(words or {}).items(), *_entries(incomplete, suffixes)]

    return complete


codes = files(".h5")
means = files(".h5", words={"none": "no mean"})
pools = files(".h5", ".txt", ".json")
tensors = files(".safetensors")
made = files(".h5", ".safetensors")
embeddings = files(".npy", ".safetensors", ".pt")
plans = files(".csv", ".toml")
scores = files(".csv")
factors = files(".tsv")
texts = files(".txt")
lists = files(".txt", ".json")
sources = files(".txt", ".json", words=IMAGES | TEXTS)
pictures = files(".csv", ".h5", words=IMAGES)
published = files(".pt")


def models(incomplete: str) -> Offers:
    """Names of models, and folders that hold one."""
    return [*MODELS.items(), *_entries(incomplete, (".safetensors",))]


def devices(incomplete: str) -> Offers:
    return [("cpu", ""), ("cuda", ""), ("mps", "")]


def layers(ctx: typer.Context, incomplete: str) -> Offers:
    found = _sizes(ctx)
    return _numbers(incomplete, found.layers, "layer") if found else []


def heads(ctx: typer.Context, incomplete: str) -> Offers:
    found = _sizes(ctx)
    return _numbers(incomplete, range(found.heads), "head") if found else []


def vectors(ctx: typer.Context, incomplete: str) -> Offers:
    found = _sizes(ctx)
    return _numbers(incomplete, range(found.vectors), "singular vector") if found else []


def places(ctx: typer.Context, incomplete: str) -> Offers:
    """Layer.head.vector=, part by part."""
    found = _sizes(ctx)
    *before, last = incomplete.split(".")
    if found is None or len(before) > 2 or "=" in last:
        return []
    kinds = ((found.layers, "layer", "."), (range(found.heads), "head", "."))
    choices, what, end = (*kinds, (range(found.vectors), "singular vector", "="))[len(before)]
    start = "".join(f"{part}." for part in before)
    return [(f"{start}{value}{end}", word) for value, word in _numbers(last, choices, what)]


def _sizes(ctx: typer.Context) -> Any:
    """What the line so far is about; nothing where that fails: a completion has no errors."""
    from sithctl.commands.at_hand import at_hand

    try:
        return at_hand(ctx.params | _arguments(ctx))
    except Exception:
        return None


def _arguments(ctx: typer.Context) -> dict[str, str]:
    """The words that are no options: an option without its value, which is to be completed, keeps
    the parser from giving them their names."""
    names = [str(p.name) for p in ctx.command.params if p.param_type_name == "argument"]
    return dict(zip(names, ctx.args, strict=False))


def _numbers(incomplete: str, numbers: Iterable[int], what: str) -> Offers:
    """Numbers, also as the end of a range or a list that has been begun."""
    begun = re.match(r"(?:.*[,-])?", incomplete)
    start = begun[0] if begun else ""
    return [(f"{start}{number}", f"{what} {number}") for number in numbers]


def _entries(incomplete: str, suffixes: tuple[str, ...]) -> Offers:
    """Files of these suffixes, and folders to go on in."""
    before = incomplete[: incomplete.rfind("/") + 1]
    hidden = incomplete[len(before) :].startswith(".")
    try:
        found = sorted(os.scandir(Path(before or ".").expanduser()), key=lambda entry: entry.name)
    except OSError:
        return []
    offers: Offers = []
    for entry in found:
        if entry.name.startswith(".") and not hidden:
            continue
        if entry.is_dir():
            offers.append((f"{before}{entry.name}/", "folder"))
        elif entry.name.endswith(suffixes):
            offers.append((f"{before}{entry.name}", ""))
    return offers
