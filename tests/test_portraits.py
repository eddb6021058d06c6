"""``explain --figure``: one head's spectrum, and several heads as a map."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import Run
from PIL import Image
from test_report import CONTROL, SCRIPT, made

from sithctl.artifacts import save
from sithctl.kinds import Codes
from sithctl.stages.explain import explain
from sithctl.stages.summary import summarise
from sithctl.views.portraits import WIDEST, _map, portrait

LABELS = [SCRIPT, CONTROL, "$x^2$ & more", "红色圆圈", "שלום", *(f"word {i}" for i in range(25))]


@pytest.fixture(scope="module")
def codes() -> Codes:
    return made(labels=LABELS)


def words(svg: bytes) -> list[str]:
    return [t.strip() for t in ElementTree.fromstring(svg).itertext() if t.strip()]


def test_a_spectrum_says_every_vector_and_both_poles(codes: Codes) -> None:
    rows = explain(codes, layer=4, head=1)
    said = words(portrait(codes, rows, "svg"))
    assert "made · layer 4 · head 1" in said
    for e in rows:
        named = f"{e.sv}≈" if e.degenerate else str(e.sv)
        assert named in said
        first = e.concepts[0].concept if e.concepts else "no concept"
        assert any(text.startswith(first[:40].split("\x1b")[0]) for text in said)
    assert said.count("+") == said.count("−") == 6
    assert not any("\x1b" in text for text in said)


@pytest.mark.filterwarnings("ignore:fonts lack")
def test_bars_are_as_long_as_sigma(codes: Codes) -> None:
    """Measured on the picture: blue or grey along the middle of each bar."""
    even = replace(codes, layers={4: replace(codes.layers[4], degenerate=np.zeros((3, 6), bool))})
    rows = explain(even, layer=4, head=1)
    from io import BytesIO

    picture = np.asarray(Image.open(BytesIO(portrait(even, rows, "png"))).convert("RGB"))
    blue = (np.abs(picture.astype(int) - (0x00, 0x72, 0xB2)) < 8).all(-1)
    lengths = blue.sum(1)
    edges = np.flatnonzero(np.diff(np.r_[0, lengths > 0, 0].astype(int)))
    bars = [int(lengths[(a + b) // 2]) for a, b in edges.reshape(-1, 2)]
    sigma = codes.layers[4].singular_values[1]
    assert len(bars) == 6
    np.testing.assert_allclose(np.array(bars) / bars[0], sigma / sigma[0], atol=0.01)


def test_a_map_says_the_figures_of_heads(codes: Codes) -> None:
    said = words(portrait(codes, explain(codes), "svg"))
    assert {"made · 6 heads", "layer", "head", "fidelity", "coherence"} <= set(said)
    for figures in summarise([codes]).values():
        assert f"{figures.share:.0%}" in said
        assert f"{figures.fidelity:.2f}" in said
        assert f"{figures.coherence:.2f}" in said


def test_colours_of_a_map_begin_at_nothing(codes: Codes) -> None:
    """Heads that hardly differ look alike: no noise from white to navy."""
    panels = [axes.images[0] for axes in _map(codes, explain(codes)).axes if axes.images]
    assert len(panels) == 3
    for image in panels:
        values = image.get_array()
        assert image.get_clim() == pytest.approx((min(0.0, values.min()), values.max()))


def test_a_map_is_no_wider_than_a_page(codes: Codes) -> None:
    """Or its figures would be too small to read: more panels begin another row."""
    wide = made(heads=9)
    for of in (codes, wide):
        drawn = portrait(of, explain(of), "svg").decode()
        width = float(re.search(r'width="([\d.]+)pt"', drawn)[1])
        assert width <= 72 * WIDEST
        for value in {f"{f.coherence:.2f}" for f in summarise([of]).values()}:
            assert value in words(drawn.encode())


@pytest.mark.parametrize("chosen", [{"layer": 4, "head": 0}, {}])
@pytest.mark.parametrize("format_", ["svg", "png"])
@pytest.mark.filterwarnings("ignore:fonts lack")
def test_the_same_codes_give_the_same_bytes(codes: Codes, chosen: dict, format_: str) -> None:
    rows = explain(codes, **chosen)
    assert portrait(codes, rows, format_) == portrait(codes, rows, format_)


def test_nothing_is_warned_of_what_is_no_trouble(codes: Codes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        portrait(codes, explain(codes, layer=4, head=0), "svg")


def test_the_command_writes_beside_and_renames(run: Run, codes: Codes, tmp_path: Path) -> None:
    file, figure = tmp_path / "codes.h5", tmp_path / "head.svg"
    save(codes, file)
    asked = ("explain", file, "--layer", 3, "--head", 2)
    plain, drawn = run(*asked), run(*asked, "--figure", figure)
    assert drawn.stdout == plain.stdout
    assert "made · layer 3 · head 2" in words(figure.read_bytes())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["codes.h5", "head.svg"]
    for words_, code, what in (
        (("--figure", figure), 3, "--force"),
        (("--figure", tmp_path / "none" / "a.png"), 3, "folder does not exist"),
        (("--figure", tmp_path / "head.pdf"), 2, f"--figure {figure}"),
        (("--figure", "-"), 2, "an .svg or a .png"),
        (("--figure", tmp_path / "b.svg", "--beside", file), 2, "leave out --figure"),
    ):
        result = run(*asked, *words_)
        assert (result.exit_code, result.stdout) == (code, "")
        assert what in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert run(*asked, "--figure", figure, "--force", "--format", "json").exit_code == 0
    none = run(*asked, "--figure", tmp_path / "none.svg", "--grep", "xyz")
    assert none.exit_code == 0
    assert "nothing to draw" in none.stderr
    assert not (tmp_path / "none.svg").exists()
