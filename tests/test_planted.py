"""On a model whose factors are known, the methods stand in the order they claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from sithctl.evaluation.bootstrap import bootstrap
from sithctl.scenes.bundled import bundled_concepts
from sithctl.scenes.planted import METHODS, RANDOM, Row, as_markdown, measure
from sithctl.stages.fold import fold
from sithctl.stages.pool import encode_pool
from sithctl.stages.svd import svd

COMP, NNOMP, TOP_K = METHODS
README = Path(__file__).parent.parent / "README.md"


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    concepts, factors = bundled_concepts()
    return measure(svd(fold("scenes")), encode_pool(concepts, "scenes", factors=factors))


def test_share_on_the_dominant_value(rows: dict[str, Row]) -> None:
    """COMP above NNOMP above random concepts, bootstrap intervals apart."""
    assert rows[COMP].share.low > rows[NNOMP].share.high
    assert rows[NNOMP].share.low > rows[RANDOM].share.high


def test_fidelity(rows: dict[str, Row]) -> None:
    comp, nnomp, top_k = (rows[name].fidelity or 0.0 for name in (COMP, NNOMP, TOP_K))
    assert nnomp >= comp >= top_k > 0


def test_the_readme_shows_these_figures(rows: dict[str, Row]) -> None:
    text = README.read_text().split("<!-- planted -->\n")[1].split("<!-- /planted -->")[0]
    for shown, measured in zip(text.splitlines(), as_markdown(rows).splitlines(), strict=True):
        for left, right in zip(shown.split("|"), measured.split("|"), strict=True):
            try:
                figures = [float(cell.split()[0]) for cell in (left, right)]
            except (ValueError, IndexError):
                assert left.split(" (")[0] == right.split(" (")[0]
                continue
            assert figures[0] == pytest.approx(figures[1], abs=0.02)


def test_bootstrap_interval_covers_the_mean() -> None:
    import numpy as np

    values = np.random.default_rng(0).normal(3.0, 1.0, size=400)
    interval = bootstrap(values, seed=1)
    assert interval.low < interval.mean < interval.high
    assert interval.high - interval.low == pytest.approx(4 / np.sqrt(400), rel=0.2)
