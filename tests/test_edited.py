"""Edits of the bundled model do what they say, and random edits of their size do not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sithctl.scenes.edited import Bench, bench, suppress
from sithctl.scenes.factors import NAMES
from sithctl.stages.control import energy

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture(scope="module")
def on() -> Bench:
    return bench()


@pytest.fixture(scope="module")
def before(on: Bench) -> dict[str, float]:
    return on.accuracy([])


def stated(name: str) -> list[float]:
    """The figures of a row of the README's tables."""
    row = re.search(rf"^\| {re.escape(name)}[^|]*\|(.*)\|$", README.read_text(), re.MULTILINE)
    assert row, name
    return [float(figure) for figure in re.findall(r"\d\.\d\d", row[1])]


@pytest.mark.parametrize("factor", ["pattern", "position", "hazard"])
def test_what_is_suppressed_falls_alone(factor: str, on: Bench, before: dict[str, float]) -> None:
    """Its accuracy falls far more than any other factor's, and than by a random edit of as many
    vectors and as much energy."""
    found = suppress(on, factor, before)
    drop = found.drops[factor]
    others = max(found.drops[name] for name in NAMES if name != factor)
    assert drop > 0.12
    assert drop > 2.5 * max(others, 0.0)
    assert drop > 4 * max(found.at_random, 0.0)
    was, now, *_ = stated(factor)
    assert was == pytest.approx(before[factor], abs=0.03)
    assert now == pytest.approx(before[factor] - drop, abs=0.03)


def test_the_bench_leaves_the_model_as_it_was(on: Bench) -> None:
    changes = on.suppressed(["ocean"], 3)
    before = {name: t.clone() for name, t in on.encoder.tensors().items()}
    on.accuracy(changes)
    assert all((before[name] == tensor).all() for name, tensor in on.encoder.tensors().items())


def test_a_random_edit_has_the_edits_size(on: Bench) -> None:
    changes = on.suppressed(["ocean", "sea"], 20)
    control = on.at_random(changes)
    for layer in on.codes.layers:
        assert sum(c.layer == layer for c in control) == sum(c.layer == layer for c in changes)
    wanted = energy((c.place for c in changes), on.sigma)
    assert energy((c.place for c in control), on.sigma) == pytest.approx(wanted, rel=0.1)
