"""What people look at: aligned, escaped, and as wide as there is room."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sithctl.evaluation.results import Column
from sithctl.stages.explain import Explanation, Fidelity, WeightedConcept
from sithctl.views import records
from sithctl.views.evaluation import cell
from sithctl.views.terminal import bar, footnotes, plain_text, tables
from sithctl.views.text import printable


def explanation(*labels: str, pole: str = "+", **changes: object) -> Explanation:
    concepts = tuple(
        WeightedConcept(label, 0.5 / (i + 1), i, {"colour": "red"})
        for i, label in enumerate(labels)
    )
    values: dict = {
        "layer": 5,
        "head": 2,
        "sv": 0,
        "side": "right",
        "pole": pole,
        "singular_value": 1.8312,
        "energy": 0.44,
        "degenerate": False,
        "fidelity": Fidelity(0.72, 0.49, 0.76),
        "concepts": concepts,
    }
    return Explanation(**{**values, **changes})


def rendered(rows: list[Explanation], width: int) -> str:
    console = Console(file=io.StringIO(), width=width, no_color=True, highlight=False)
    console.print(tables(rows, "scenes", width))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 120, 160])
def test_tables_fit_their_width(width: int) -> None:
    rows = [explanation("crimson hoop", "scarlet thing in the jungle on the right side")]
    rows += [explanation("azure", pole="-")]
    text = rendered(rows, width)
    assert max(len(line) for line in text.splitlines()) <= width
    for words in ("scenes · layer 5 · head 2", "crimson hoop", "0.50", "44.0%", "1.83", "0.72"):
        assert words in text
    assert ("0.49/0.76" in text) == (width >= 120)
    assert ("colour red" in text) == (width >= 120)


def test_a_concept_a_line() -> None:
    text = rendered([explanation("one", "two", "three")], 80)
    lines = [line for line in text.splitlines() if any(w in line for w in ("one", "two", "three"))]
    assert len(lines) == 3
    assert (
        len({line.index(word) for line, word in zip(lines, ("one", "two", "three"), strict=True)})
        == 1
    )


def test_labels_cannot_control_the_terminal() -> None:
    text = rendered(
        [explanation("\x1b[2Jred\r\x07", "[bold]not markup[/bold]", "\u202ereversed")], 80
    )
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\\x1b[2Jred" in text
    assert "[bold]not markup[/bold]" in text
    assert "\u202e" not in text


def test_degenerate_and_left_vectors_are_explained() -> None:
    rows = [explanation("red", degenerate=True, side="left")]
    assert "0≈" in rendered(rows, 80)
    notes = footnotes(rows, 3, 16)
    assert any("interchangeable" in note for note in notes)
    assert any("approximation" in note for note in notes)
    assert any("--top 16" in note for note in notes)


def test_nothing_to_show_is_said() -> None:
    assert "no concept" in rendered([explanation()], 80)
    assert "–" in rendered([explanation("a", fidelity=Fidelity(None, None, None))], 80)


def test_markdown_escapes_what_would_be_markup() -> None:
    text = records.as_markdown([explanation("a|b", "<script>", "*x*")])
    assert "a\\|b" in text
    assert "<script>" not in text
    assert "\\*x\\*" in text


def test_csv_keeps_any_label() -> None:
    labels = ['say "red", twice', "line\nbreak", "tab\there"]
    for delimiter in ",\t":
        text = records.as_csv([explanation(*labels)], delimiter)
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
        assert [row["concept"] for row in rows] == labels


def test_plain_text_has_no_escape_codes() -> None:
    text = plain_text([explanation("red")], "scenes")
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


@given(share=st.floats(-1, 2), width=st.integers(1, 20))
def test_bars_are_never_wider_than_told(share: float, width: int) -> None:
    assert 1 <= len(bar(share, width)) <= width


@given(st.text())
def test_printable_text_holds_no_control_codes(text: str) -> None:
    assert all(c.isprintable() or c == " " or ord(c) > 0x9F for c in printable(text))


@pytest.mark.parametrize(
    ("interval", "show", "seen"),
    [
        ((-0.2, -0.31, 0.1), "figure", "−0.20 (−0.31 to 0.10)"),
        ((-0.001, -0.001, -0.001), "figure", "0.00 (0.00–0.00)"),
        ((-1e-9, -0.004, 0.004), "share", "0.0% (−0.4% to 0.4%)"),
        ((0.5, 0.4, 0.6), "share", "50.0% (40.0%–60.0%)"),
        ((0.0, -0.013, 0.013), "points", "+0.0 (−1.3 to +1.3)"),
    ],
)
def test_intervals_are_told_without_riddles(
    interval: tuple[float, float, float], show: str, seen: str
) -> None:
    record = {"x": dict(zip(("mean", "low", "high"), interval, strict=True))}
    assert cell(record, Column("x", "x", show)) == seen
