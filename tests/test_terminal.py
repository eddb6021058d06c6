"""Tables on terminals of all kinds: narrow and wide, without colour, without Unicode, and with
labels of every script."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest
from conftest import Run, Shell
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text
from test_report import made

from sithctl.artifacts import save
from sithctl.kinds import Codes
from sithctl.stages.beside import beside
from sithctl.stages.choice import Choice
from sithctl.stages.explain import explain
from sithctl.stages.find import find
from sithctl.views import beside as beside_view
from sithctl.views import found as found_view
from sithctl.views.plain import _simplified, has_unicode, spelt
from sithctl.views.terminal import tables
from sithctl.views.text import LEFT_TO_RIGHT, label

LONG = "a disc that goes on and on across the table until it has to wrap somewhere"
LABELS = [
    "disc\x1b[2J\x07",
    "\u202edesrever disc",
    "红色的圆圈在沙漠里红色的圆圈在沙漠里红色的圆圈",
    "שלום אדום",
    "أحمر في البحر",
    "👩‍👩‍👧 disc 👍🏽",
    "café e\u0301 disc",
    "[bold]disc[/bold]",
    "plain disc",
    LONG,
    "tab\there",
    "🇬🇧 disc",
]


@pytest.fixture(scope="module")
def codes() -> Codes:
    return made(labels=LABELS, layers=(4,))


def views(codes: Codes, width: int) -> dict[str, object]:
    """All tables of explanations, as wide as told."""
    other = made(labels=LABELS[::-1], layers=(4,))
    sides = beside_view.sides(("codes.h5", "other.h5"), (codes, other))
    pairs = beside(codes, other, Choice(head=0))
    rows = explain(codes)
    return {
        "explain": tables(rows, "made", width),
        "sorted": tables(rows, "made", width, order="sigma"),
        "find": found_view.table(find(codes, ["disc"]), "made · disc", width),
        "beside": beside_view.tables(pairs, sides, "made", width),
    }


VIEWS = ["explain", "sorted", "find", "beside"]


def lines(shown: object, width: int, **more: object) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False, **more)  # type: ignore[arg-type]
    console.print(shown)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_tables_fit_and_lose_no_label(codes: Codes, view: str, width: int) -> None:
    text = lines(views(codes, width)[view], width)
    assert max(map(cell_len, text)) <= width
    joined = "".join("".join(text).split())
    said = {c.concept for m in find(codes, ["disc"]) for c in m.explanation.concepts}
    assert {"plain disc", "[bold]disc[/bold]"} <= said
    for word in ("[bold]", "plain", "café", "👍🏽", "\\x1b[2J\\x07", "\\u202ed"):
        assert word in joined
    assert not any(c in joined for c in "\x1b\x07\u202e")


@pytest.mark.parametrize("view", ["explain", "sorted"])
def test_labels_of_every_script_begin_in_one_column(codes: Codes, view: str) -> None:
    text = lines(views(codes, 80)[view], 80)
    at = {cell_len(t[: m.start()]) for t in text if (m := re.search(r"(?<= )\d\.\d\d (?=\S)", t))}
    starts = {cell_len(t[: m.end()]) for t in text if (m := re.search(r"[█▏▎▍▌▋▊▉] *\d\.\d\d ", t))}
    assert len(starts) <= (3 if view == "explain" else 1)  # one a table, of three heads
    assert at


def test_long_words_are_broken_and_not_cut(codes: Codes) -> None:
    text = "".join("".join(lines(views(codes, 40)["explain"], 40)).split())
    assert re.sub(r"\s", "", LABELS[2]) in text
    assert "…" not in text


def test_right_to_left_labels_end_with_a_mark() -> None:
    """So that a terminal that reorders them leaves the figures beside them alone."""
    assert label("שלום") == "שלום" + LEFT_TO_RIGHT
    assert label("red") == "red"
    assert label("a\u200eb") == "a\\u200eb"
    assert cell_len(label("أحمر")) == 4


@pytest.mark.parametrize("view", VIEWS)
def test_colours_are_seen_on_light_and_dark_grounds(codes: Codes, view: str) -> None:
    shown = views(codes, 120)[view]
    bright = {"force_terminal": True, "color_system": "standard", "no_color": False}
    codes_of = re.findall(r"\x1b\[([\d;]*)m", "\n".join(lines(shown, 120, **bright)))
    used = {int(number) for numbers in codes_of for number in numbers.split(";")}
    assert used & {32, 35}
    assert used <= {0, 1, 2, 3, 4, 31, 32, 35}  # no yellow, white, black; no ground of its own


# Without Unicode


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [40, 80, 120])
def test_without_unicode_all_is_ascii_straight_and_whole(
    codes: Codes, view: str, width: int
) -> None:
    text = lines(_simplified(views(codes, width)[view], "ascii"), width)
    assert all(line.isascii() for line in text)
    assert not any("?" in line for line in text)
    assert max(map(len, text)) <= width
    joined = "".join("".join(text).split())
    for word in ("\\x1b[2J\\x07", "caf\\xe9", "\\U0001f44d"):
        assert word in joined
    assert ("sigma" in joined) == (width >= 80 or view != "find")
    assert ("#" in joined) == (width >= 80 if view != "beside" else width >= 120)


@given(st.text(), st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8"]))
def test_any_text_can_be_spelt_in_any_encoding(text: str, encoding: str) -> None:
    text = re.sub(r"[\ud800-\udfff]", "", text)
    spelt(text, encoding).encode(encoding)
    assert spelt(text, "utf-8") == text


def test_styles_stay_on_their_words() -> None:
    text = Text.assemble(("σ", "red"), " é ", ("≈x", "bold"), ("", "dim"))
    table = Table("σ", title=Text("·"))
    table.add_row(text)
    simple = _simplified(Group(table), "ascii")
    cell = next(iter(simple.renderables[0].columns[0].cells))
    assert cell.plain == "sigma \\xe9 ~x"
    assert [cell.plain[s.start : s.end] for s in cell.spans if s.end > s.start] == ["sigma", "~x"]
    assert simple.renderables[0].columns[0].header == "sigma"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LANG": "en_GB.UTF-8"}, True),
        ({}, True),  # nobody said
        ({"LANG": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),  # as Python sets it
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "C", "LC_ALL": "C.UTF-8"}, True),
        ({"LANG": "C", "PYTHONIOENCODING": "utf-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "en_GB.UTF-8"}, True),
    ],
)
def test_the_locale_says_whether_there_is_unicode(
    variables: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANG", "LC_ALL", "LC_CTYPE", "PYTHONIOENCODING"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert has_unicode(io.TextIOWrapper(io.BytesIO(), "utf-8")) == expected
    assert not has_unicode(io.TextIOWrapper(io.BytesIO(), "ascii"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, codes: Codes) -> Path:
    path = tmp_path_factory.mktemp("terminal") / "codes.h5"
    save(codes, path)
    return path


def test_programs_in_such_a_locale_do_not_fail(shell: Shell, file: Path) -> None:
    """Tables, notes, errors and help; data in a pipe is UTF-8 as ever."""
    line = f"""
    sithctl explain {file} --beside {file} && sithctl find disc,x {file} &&
    sithctl explain --help && sithctl find 'ö' {file} && ! sithctl find disc ö.h5"""
    locale = "unset LC_ALL LC_CTYPE; export"
    for variables in ("LANG=C", "LC_ALL=C PYTHONIOENCODING=ascii"):
        result = shell(f"{locale} {variables}; {line}")
        assert result.returncode == 0, result.stderr
        for stream in (result.stdout, result.stderr):
            assert stream.isascii()
            assert b"UnicodeEncodeError" not in stream
        assert b"sigma" in result.stdout
        assert b"names \\xf6" in result.stderr
    asked = f"sithctl explain {file} --format csv"
    assert shell(f"{locale} LANG=C; {asked}").stdout == shell(asked).stdout
    assert "红色" in shell(asked).stdout.decode()


def test_no_line_ends_with_spaces(run: Run, file: Path) -> None:
    """A letter that a terminal takes for wider than it was measured would break the line."""
    text = run("explain", file).stdout
    assert len(text) > 1000
    assert all(line == line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_json_on_any_terminal_is_json(shell: Shell, file: Path, locale: str) -> None:
    """What a terminal cannot show, or must not obey, is in JSON's own escapes; a pipe has UTF-8."""
    on_terminal = f"{sys.executable} -c 'import pty, sys; pty.spawn(sys.argv[1:])'"
    for words in ("explain FILE --format json", "find disc FILE --quiet --format jsonl"):
        asked = words.replace("FILE", str(file))
        piped = shell(f"export LC_ALL={locale}; sithctl {asked}").stdout.decode()
        shown = shell(f"export LC_ALL={locale}; {on_terminal} sithctl {asked} </dev/null")
        text = shown.stdout.decode().replace("\r\n", "\n")
        assert "👍🏽" in piped
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
        assert text.isascii() == (locale == "C")
        split = str.splitlines if asked.endswith("jsonl") else lambda text: [text]
        assert list(map(json.loads, split(text))) == list(map(json.loads, split(piped)))
