"""What ships with the bundled model: its image mean and its concepts."""

from __future__ import annotations

from pathlib import Path

from sithctl.artifacts import load
from sithctl.kinds import Factors, Mean
from sithctl.sources.concepts import read_concepts, read_factors

FOLDER = Path(__file__).parent
CONCEPTS = FOLDER / "concepts.txt"
FACTORS = FOLDER / "concepts.tsv"
MEAN = FOLDER / "mean.h5"


def bundled_mean(space: str | None) -> Mean | None:
    """The bundled model's image mean, where ``space`` is the bundled model's."""
    if space is None or not MEAN.exists():
        return None
    mean = load(MEAN, Mean)
    return mean if mean.model.space == space else None


def bundled_concepts() -> tuple[list[str], list[Factors]]:
    """The bundled pool's phrases, and the factor values that each names."""
    concepts = read_concepts(CONCEPTS)
    return concepts, read_factors(FACTORS, concepts)
