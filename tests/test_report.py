"""The report: its figures against brute force, its page as text, and both in a real browser."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run

from sithctl.artifacts import save
from sithctl.kinds import Blobs, Codes, Concepts, Identity, LayerCodes, Readout, Step
from sithctl.stages.explain import explain
from sithctl.stages.find import find
from sithctl.stages.summary import coherence, shared_layers, summarise, total_energy
from sithctl.views.report import Shown, document, page

SCRIPT = "</script><script>window.broken = true</script><img src=x onerror='window.broken = true'>"
CONTROL = "red\x1b[2J \u202edesrever"


def made(
    layers: tuple[int, ...] = (3, 4),
    heads: int = 3,
    rank: int = 6,
    labels: list[str] | None = None,
    features: int = 8,
    seed: int = 0,
    **changes: Any,
) -> Codes:
    """Codes of no model: random spectra, explained by random concepts of a random pool."""
    names = labels or [f"concept {i}" for i in range(30)]
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(len(names), features)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pool = np.arange(len(names)) * 2 + 1  # a concept's place in the pool is not its place here
    values = {layer: _layer(random, heads, rank, pool) for layer in layers}
    space = Readout((Step("layer-norm", {"weight": np.ones(features, np.float32)}, 1e-5),))
    fields: dict[str, Any] = {
        "model": Identity("made"),
        "history": (),
        "architecture": {"family": "CLIP", "layers": max(layers) + 1, "heads": heads},
        "parameters": {
            "method": "comp",
            "sparsity": 5,
            "coherence": 0.3,
            "side": "right",
            "poles": ["+", "-"],
            "rank": None,
        },
        "layers": values,
        "concepts": Concepts(pool, names, vectors),
        "mean": np.zeros(features),
        "pool_mean": np.zeros(features),
        "readout": space,
    }
    return Codes(**fields | changes)


def _layer(random: np.random.Generator, heads: int, rank: int, pool: np.ndarray) -> LayerCodes:
    shape = (heads, rank, 2)
    sigma = -np.sort(-random.gamma(2.0, size=(heads, rank + 2)), axis=1).astype(np.float32)
    energy = sigma**2 / np.sum(sigma**2, axis=1, keepdims=True)  # two vectors are not explained
    count = int(np.prod(shape))
    chosen = np.stack([random.choice(pool, 5, replace=False) for _ in range(count)])
    indices = chosen.reshape(*shape, 5)
    indices[random.random(indices.shape) < 0.2] = -1
    weights = -np.sort(-random.random((*shape, 5)), axis=-1).astype(np.float32)
    return LayerCodes(
        indices,
        weights,
        sigma[:, :rank],
        energy[:, :rank],
        random.random((heads, rank)) < 0.2,
        random.random((*shape, 3)).astype(np.float32),
    )


def shown(codes: Codes, source: str | None = None, **chosen: Any) -> Shown:
    return Shown(source, [codes], explain(codes, **chosen))


# The figures


def test_coherence_is_the_mean_cosine_of_pairs() -> None:
    codes = made()
    row_of = {int(index): row for row, index in enumerate(codes.concepts.indices)}
    for values in codes.layers.values():
        found = coherence(codes.concepts, values.indices)
        for place in np.ndindex(found.shape):
            rows = [codes.concepts.vectors[row_of[i]] for i in values.indices[place] if i >= 0]
            pairs = [float(a @ b) for a, b in itertools.combinations(rows, 2)]
            expected = np.mean(pairs) if pairs else np.nan
            np.testing.assert_allclose(found[place], expected, atol=1e-6)


def test_a_heads_figures_are_weighted_by_energy() -> None:
    codes = made()
    found = summarise([codes])
    for layer, values in codes.layers.items():
        alike = coherence(codes.concepts, values.indices)
        for head in range(3):
            total = float(values.singular_values[head, 0] ** 2 / values.energy[head, 0])
            assert found[layer, head].energy == pytest.approx(total, rel=1e-5)
            for name, figures in (("fidelity", values.fidelity[..., 0]), ("coherence", alike)):
                known = [
                    (figures[head, sv, pole], values.energy[head, sv])
                    for sv, pole in np.ndindex(6, 2)
                    if not np.isnan(figures[head, sv, pole])
                ]
                expected = sum(x * w for x, w in known) / sum(w for _, w in known)
                assert getattr(found[layer, head], name) == pytest.approx(expected, rel=1e-5)
    assert sum(one.share for one in found.values()) == pytest.approx(1)
    assert sum(found[3, head].share_of_layer for head in range(3)) == pytest.approx(1)


def test_figures_of_layers_apart_are_those_of_layers_together() -> None:
    codes = made()
    apart = [replace(codes, layers={n: codes.layers[n]}) for n in (4, 3)]
    assert summarise(apart) == summarise([codes])


def test_what_is_unknown_stays_unknown() -> None:
    codes = made(layers=(0,), heads=1)
    values = codes.layers[0]
    blank = replace(
        values,
        fidelity=np.full_like(values.fidelity, np.nan),
        indices=np.full_like(values.indices, -1),
    )
    (figures,) = summarise([replace(codes, layers={0: blank})]).values()
    assert figures.fidelity is figures.coherence is figures.trusted is None
    assert total_energy(np.zeros(3), np.zeros(3)) == 0.0


def test_layers_are_shared_where_they_have_as_many_heads() -> None:
    assert shared_layers([made((3,)), made((4,))], [made((4, 5))]) == [4]
    assert shared_layers([made((3,))], [made((3,), heads=4)]) == []


# The page


class Scripts(HTMLParser):
    """The texts of a page's script elements, as a browser would find them."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.inside = tag == "script"
        if self.inside:
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[-1] += data


def test_hostile_texts_stay_data() -> None:
    codes = made(labels=[SCRIPT, CONTROL, "<!-- ]]>", "a & b", "\ud800"] * 6)
    hostile = replace(codes, model=Identity(SCRIPT))
    text = page(document([shown(hostile, source=SCRIPT)]))
    parser = Scripts()
    parser.feed(text)
    data, script = parser.texts
    labels = json.loads(data)["sides"][0]["concepts"]["label"]
    assert set(labels) == {SCRIPT, "red\\x1b[2J \\u202edesrever", "<!-- ]]>", "a & b", "\\ud800"}
    assert "onerror" not in script
    assert text.count(SCRIPT) == 0
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_same_codes_are_the_same_page() -> None:
    assert page(document([shown(made())])) == page(document([shown(made())]))


def test_equal_pictures_are_there_once() -> None:
    codes = made()
    pictures = Blobs([b"one" if i % 2 else b"two" for i in range(30)])
    codes = replace(codes, concepts=replace(codes.concepts, thumbnails=pictures))
    found = document([shown(codes), shown(codes)])
    assert len(found["pictures"]) == 2
    assert {None, 0, 1} >= set(found["sides"][0]["concepts"]["picture"])


def test_grades_are_shown_where_there_are_any() -> None:
    side = shown(made())
    for e in side.explanations:
        object.__setattr__(e, "grade", "B")
        object.__setattr__(e, "reasons", ("untested",))
    for values in side.codes[0].layers.values():
        object.__setattr__(values, "grade", np.full(values.indices.shape[:3], 2, np.int8))
    found = document([side])["sides"][0]
    assert found["graded"]
    assert found["heads"][0]["trusted"] == 1
    assert found["heads"][0]["vectors"][0][-2:] == ["B", ["untested"]]
    assert not document([shown(made())])["sides"][0]["graded"]


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of the size of ViT-L/14's last four layers, from a pool of ConceptNet's kind."""
    words = [f"{i:x} some concept {i}" for i in range(40_000)]
    codes = made((20, 21, 22, 23), heads=16, rank=64, labels=words)
    path = tmp_path_factory.mktemp("report") / "large.html"
    path.write_text(page(document([shown(codes)])), encoding="utf-8")
    return path


def test_a_large_model_stays_below_3_mb(large: Path) -> None:
    assert large.stat().st_size < 3_000_000


# The command


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    sides = {"base": made(seed=1), "edited": made(seed=2), "wide": made(heads=4)}
    for name, codes in sides.items():
        save(codes, str(tmp_path / f"{name}.h5"))
    return {name: tmp_path / f"{name}.h5" for name in sides}


def test_the_command_writes_a_report(files: dict[str, Path], run: Run, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    result = run("explain", files["base"], "--format", "html", "-o", target, "--head", 1)
    assert (result.exit_code, result.stdout) == (0, "")
    text = target.read_text(encoding="utf-8")
    assert text == page(document([shown(made(seed=1), "base.h5", head=1)]))
    assert run("explain", files["base"], "--format", "html", "--head", 1).stdout == text


def test_the_command_compares(files: dict[str, Path], run: Run) -> None:
    both = ("--compare", files["edited"], "--format", "html", "--layer", 4)
    result = run("explain", files["base"], *both)
    assert result.exit_code == 0
    sides = [shown(made(seed=i), f"{n}.h5", layer=4) for i, n in ((1, "base"), (2, "edited"))]
    assert result.stdout == page(document(sides))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--compare", "wide.h5", "--format", "html"], 3, "layers 3, 4 of 4 heads"),
        (["--compare", "none.h5", "--format", "html"], 3, "none.h5"),
        (["--compare", "edited.h5"], 2, "--format html"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(
    arguments: list[str],
    code: int,
    said: str,
    files: dict[str, Path],
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(files["base"].parent)
    result = run("explain", "base.h5", *arguments)
    assert result.exit_code == code
    assert result.stderr.startswith("sithctl explain:")
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr


# The browser

LACKING = [
    name
    for name, found in (
        ("chromium", shutil.which("chromium")),
        ("chromedriver (Debian: chromium-driver)", shutil.which("chromedriver")),
        ("selenium", find_spec("selenium")),
    )
    if not found
]
in_browser = pytest.mark.skipif(bool(LACKING), reason=f"no {', no '.join(LACKING)} here")


class Browser:
    """Debian's Chromium, and how a reader would use it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(
        self, path: Path, fragment: str = "", *, width: int = 1440, dark: bool = False
    ) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")  # else another fragment would not load the page anew
        self.driver.get(path.as_uri() + fragment)

    def js(self, expression: str) -> Any:
        return self.driver.execute_script(f"return {expression}")

    def texts(self, selector: str) -> list[str]:
        return self.js(f"[...document.querySelectorAll({selector!r})].map((e) => e.textContent)")

    def text(self, selector: str) -> str:
        return self.texts(selector)[0]

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def type(self, *keys: str) -> None:
        """Type where the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def wait(self, expression: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 10, 0.02).until(lambda _: self.js(expression))

    def search(self, text: str) -> None:
        self.js("document.getElementById('query').focus()")
        self.type(text)
        self.wait("document.getElementById('found').textContent !== ''")

    def complaints(self) -> list[str]:
        """What stands in the console; reading empties it."""
        return [line["message"] for line in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield Browser(driver)
    driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser; a test fails where a page has written to the console."""
    chromium.complaints()
    yield chromium
    assert chromium.complaints() == []


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def call(*sides: Shown) -> Path:
        path = tmp_path / "report.html"
        path.write_text(page(document(sides)), encoding="utf-8")
        return path

    return call


COLOURS = ["crimson hoop", "scared cat", "red ring", "blue box", "reddish sky", "赤い輪", "a-b (c)"]


def coloured(**more: Any) -> Codes:
    """A labelled concept for each of seven; all others are grey."""
    return made(labels=COLOURS + ["grey thing"] * 23, **more)


@in_browser
def test_it_opens_with_the_loudest_head_and_fetches_nothing(browser: Browser, write: Write) -> None:
    codes = made()
    browser.open(write(shown(codes)))
    figures = summarise([codes])
    layer, head = max(figures, key=lambda place: figures[place].energy)
    assert browser.text("#card-title") == f"Layer {layer} · head {head}"
    assert len(browser.texts(".map td a")) == len(figures)
    assert len(browser.texts("#vectors > li")) == 6
    assert len(browser.texts("#vectors .pole")) == 12
    assert len(browser.texts(".spectrum a")) == 6
    assert browser.js("performance.getEntriesByType('resource').length") == 0


@in_browser
def test_search_finds_words_across_the_model(browser: Browser, write: Write) -> None:
    codes = coloured()
    browser.open(write(shown(codes)))
    browser.search("red, CRIMSON")
    wanted = {"crimson hoop", "red ring", "reddish sky"}
    expected = [e for e in explain(codes) if wanted & {c.concept for c in e.concepts}]
    heads = {(e.layer, e.head) for e in expected}
    assert (
        browser.text("#found")
        == f"{len(expected)} explanation{'s' * (len(expected) != 1)} in {len(heads)} heads"
    )
    assert set(browser.texts("#results .label > bdi:first-child")) <= wanted
    assert len(browser.texts("#results > li")) == len(expected)
    browser.click("#whole")
    browser.wait("![...document.querySelectorAll('#results mark')].some((m) => m.innerText === '')")
    assert set(browser.texts("#results .label > bdi:first-child")) <= wanted - {"reddish sky"}
    assert {text.lower() for text in browser.texts("#results mark")} == {"red", "crimson"}
    weights = {
        f"layer {e.layer} · head {e.head} · sv {e.sv} {e.pole.replace('-', '−')}": m.weight
        for m in find(codes, ["red", "crimson"])
        for e in (m.explanation,)
    }
    ranked = [weights.pop(where) for where in browser.texts("#results .where a")]
    assert not weights
    assert ranked == pytest.approx(sorted(ranked, reverse=True), abs=1e-3)
    browser.click("#results a")
    browser.wait("document.activeElement.matches('#vectors > li.wanted')")
    assert set(browser.texts("#vectors > li.wanted mark")) & {"red", "crimson"}


@in_browser
@pytest.mark.parametrize(("query", "label"), [("い輪", "赤い輪"), ("b (c)", "a-b (c)")])
def test_search_takes_any_text_literally(
    query: str, label: str, browser: Browser, write: Write
) -> None:
    browser.open(write(shown(coloured())))
    browser.search(query)
    assert set(browser.texts("#results .label > bdi:first-child")) == {label}


@in_browser
def test_a_search_colours_the_map_and_escape_ends_it(browser: Browser, write: Write) -> None:
    codes = coloured()
    browser.open(write(shown(codes)))
    browser.search("blue")
    for (layer, head), share in _shares(codes, "blue box").items():
        label = browser.js(
            f"document.querySelector('.map [href=\"#layer-{layer}-head-{head}\"]').ariaLabel"
        )
        told = float(label.split("search ")[1].split("%")[0])
        assert told == pytest.approx(100 * share, abs=0.55 if told >= 10 else 0.055)
    browser.type("\ue00c")  # Escape
    browser.wait("document.getElementById('found').textContent === ''")
    assert browser.texts("#results > li") == []
    assert browser.js("document.querySelector('#measures :checked').value") == "energy"
    browser.search("zebra")
    assert browser.text("#found") == "Nothing here is explained by “zebra”"


def _shares(codes: Codes, label: str) -> dict[tuple[int, int], float]:
    """What part of each head's weights goes to one label, by energy."""
    shares: dict[tuple[int, int], float] = {}
    for e in explain(codes):
        mine = sum(c.coefficient for c in e.concepts if c.concept == label)
        everything = sum(c.coefficient for c in e.concepts) or 1
        place = e.layer, e.head
        shares[place] = shares.get(place, 0) + e.energy / 2 * mine / everything
    return shares


@in_browser
def test_the_map_is_walked_by_keys(browser: Browser, write: Write) -> None:
    left, right, up, down, home, end, enter = (
        "\ue012",
        "\ue014",
        "\ue013",
        "\ue015",
        "\ue011",
        "\ue010",
        "\ue007",
    )
    focus = "document.activeElement.getAttribute('href')"
    browser.open(write(shown(made())))
    browser.js("document.querySelector('.map [tabindex=\"0\"]').focus()")
    for keys, place in [
        ((right, right), "#layer-3-head-2"),
        ((right,), "#layer-3-head-2"),
        ((down, left), "#layer-4-head-1"),
        ((home,), "#layer-4-head-0"),
        ((end, up), "#layer-3-head-2"),
    ]:
        browser.type(*keys[:1])
        for key in keys[1:]:
            browser.type(key)
        assert browser.js(focus) == place
    assert browser.js("document.querySelectorAll('.map [tabindex=\"0\"]').length") == 1
    browser.type(enter)
    browser.wait("document.activeElement.id === 'card-title'")
    assert browser.text("#card-title") == "Layer 3 · head 2"
    assert browser.js("location.hash") == "#layer-3-head-2"


@in_browser
def test_fragments_open_heads_and_vectors(browser: Browser, large: Path) -> None:
    browser.open(large, "#layer-22-head-7-sv-41")
    assert browser.text("#card-title") == "Layer 22 · head 7"
    browser.wait("document.activeElement.id === 'layer-22-head-7-sv-41'")
    box = browser.js("document.activeElement.getBoundingClientRect().top")
    assert -1 <= box <= 600
    browser.js("void (location.hash = '#layer-20-head-3')")
    browser.wait("document.getElementById('card-title').textContent === 'Layer 20 · head 3'")
    assert browser.texts(".map [aria-current]") != []
    browser.click("#next")
    browser.wait("document.getElementById('card-title').textContent === 'Layer 20 · head 4'")
    browser.open(large, "#layer-5-head-99")
    assert browser.text("#lost") == "This report has no layer 5 head 99."


@in_browser
def test_a_large_report_paints_and_searches_at_once(browser: Browser, large: Path) -> None:
    def first_paint() -> float:
        browser.open(large)
        browser.wait("performance.getEntriesByName('first-contentful-paint').length")
        return float(
            browser.js("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        )

    assert min(first_paint() for _ in range(3)) < 1000
    asked = "(() => {const t = performance.now(); byId('query').value = 'concept 1'; search();"
    assert browser.js(f"{asked} return performance.now() - t;}})()") < 1000
    assert len(browser.texts("#results > li")) == 50
    browser.click("#more")
    assert len(browser.texts("#results > li")) == 100


@in_browser
def test_vectors_are_sorted_and_filtered(browser: Browser, write: Write) -> None:
    codes = made()
    browser.open(write(shown(codes)), "#layer-3-head-0")
    values = codes.layers[3]

    def order() -> list[int]:
        return [int(text.removeprefix("sv ")) for text in browser.texts("#vectors h3")]

    def choose(name: str, value: object) -> None:
        field = f"document.forms.filters.elements.{name}"
        browser.js(
            f"({field}.value = {value!r},"
            f" {field}.dispatchEvent(new Event('input', {{bubbles: true}})))"
        )

    assert order() == list(range(6))
    choose("sort", "fidelity")
    best = values.fidelity[0, :, :, 0].max(axis=1)
    assert order() == np.argsort(-best, kind="stable").tolist()
    choose("fidelity", 0.5)
    left = [sv for sv in order() if best[sv] >= 0.5]
    assert order() == left
    shown_poles = int((values.fidelity[0, :, :, 0] >= 0.5).sum())
    assert len(browser.texts("#vectors .pole")) == shown_poles
    assert browser.text("#shown").startswith(f"{len(left)} of 6" if len(left) < 6 else "6 vectors")
    choose("pole", "-")
    assert browser.texts("#vectors .pole.plus") == []
    choose("fidelity", 0)
    choose("pole", "")
    browser.click("[name=distinct]")
    assert sorted(order()) == np.flatnonzero(~values.degenerate[0]).tolist()


@in_browser
def test_labels_cannot_become_markup(browser: Browser, write: Write) -> None:
    codes = replace(made(labels=[SCRIPT, CONTROL] * 15), model=Identity(SCRIPT))
    browser.open(write(shown(codes, source=SCRIPT), shown(codes, source=SCRIPT)))
    browser.search("img, desrever, red")
    assert SCRIPT in browser.texts("#vectors .label > bdi:first-child")
    assert SCRIPT in browser.texts("#results .label > bdi:first-child")
    assert SCRIPT in browser.text("h1")
    assert browser.js("window.broken") is None
    assert browser.js("document.images.length") == 0
    assert browser.js("document.scripts.length") == 2


@in_browser
def test_no_other_script_may_run(chromium: Browser, write: Write) -> None:
    chromium.open(write(shown(made())))
    assert chromium.complaints() == []
    chromium.js(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'window.broken = true'}))"
    )
    assert chromium.js("window.broken") is None
    assert any("Content Security Policy" in line for line in chromium.complaints())


@in_browser
def test_what_is_unknown_or_not_shown_is_left_out(browser: Browser, write: Write) -> None:
    codes = made()
    blank = {
        n: replace(v, fidelity=np.full_like(v.fidelity, np.nan)) for n, v in codes.layers.items()
    }
    browser.open(write(shown(replace(codes, layers=blank), sv=1)))
    assert browser.texts("#measures [value=fidelity]") == []
    assert [text for text in browser.texts("h4") if "fidelity" in text or "residual" in text] == []
    assert len(browser.texts(".spectrum a")) == 6  # of all vectors, those explained being links
    assert len(browser.texts(".spectrum a[href]")) == 1
    assert "NaN" not in browser.text("body")


@in_browser
def test_two_models_stand_side_by_side(browser: Browser, write: Write) -> None:
    base, other = made((3, 4), seed=1), made((4, 5), rank=4, seed=2)
    browser.open(write(shown(base, "base.h5"), shown(other, "other.h5")), "#layer-4-head-1")
    assert len(browser.texts(".map")) == 2
    first, second = browser.js(
        "[...document.querySelectorAll('.map [href=\"#layer-4-head-1\"]')].map((a) => {"
        "const box = a.getBoundingClientRect(), map = a.closest('table').getBoundingClientRect();"
        "return [box.left - map.left, box.top, map.left]})"
    )
    assert first[:2] == pytest.approx(second[:2])
    assert first[2] < second[2]
    halves = browser.js(
        "[...document.querySelectorAll('#vectors > li')].map((li) =>"
        " [...li.querySelectorAll('.side')].map((side) => side.querySelectorAll('.pole').length))"
    )
    assert halves == [[2, 2]] * 4 + [[2, 0]] * 2
    weights = explain(other, layer=4, head=1)[0].concepts
    shown_there = browser.js(
        "document.querySelectorAll('#vectors .side')[1].querySelectorAll('.weight')[0].innerText"
    )
    assert shown_there == f"{weights[0].coefficient:.2f}"
    browser.click("#change")
    figures = [summarise([codes])[4, 1].fidelity for codes in (base, other)]
    label = browser.js("document.querySelectorAll('[href=\"#layer-4-head-1\"]')[1].ariaLabel")
    before, after = (round(figure or 0, 3) for figure in figures)
    assert "change" in label
    browser.click("label:has([value=fidelity])")
    label = browser.js("document.querySelectorAll('[href=\"#layer-4-head-1\"]')[1].ariaLabel")
    told = float(label.split("change ")[1].replace("−", "-"))
    assert told == pytest.approx(after - before, abs=0.0051)
    browser.open(write(shown(base), shown(other)), "#layer-3-head-0")
    assert "no such head" in browser.text("#figures")


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0"
    "000003010100c9fe92ef0000000049454e44ae426082"
)


@in_browser
def test_pictures_are_shown(browser: Browser, write: Write) -> None:
    codes = made()
    concepts = replace(
        codes.concepts,
        thumbnails=Blobs([PNG] * 30),
        sources=[f"picture {i}" for i in range(30)],
    )
    browser.open(write(shown(replace(codes, concepts=concepts))))
    browser.wait("document.images.length && document.images[0].complete")
    assert browser.js("document.images[0].naturalWidth") == 1
    assert browser.text("#vectors .beside").startswith("picture ")


@in_browser
@pytest.mark.parametrize("sides", [1, 2])
def test_a_phone_has_no_horizontal_overflow(sides: int, browser: Browser, write: Write) -> None:
    long = [
        f"Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamte{i}" for i in range(30)
    ]
    codes = made(heads=16, rank=64, labels=long)
    path = write(*[shown(codes, source=f"{'long' * 30}.h5")] * sides)
    browser.open(path, "#layer-4-head-15-sv-3", width=390)
    browser.search("donau")
    assert browser.js("document.documentElement.scrollWidth") <= 390
    cells = "[...document.querySelectorAll('.map tbody tr:first-child td a')]"
    lefts = browser.js(f"{cells}.map((a) => a.getBoundingClientRect().left)")[:16]
    widths = browser.js(f"{cells}.map((a) => a.getBoundingClientRect().width)")[:16]
    assert min(widths) >= 24
    assert all(b - a >= w for a, b, w in zip(lefts, lefts[1:], widths, strict=False))
    browser.js("document.querySelector('.map td a').click()")
    browser.wait("document.activeElement.id === 'card-title'")
    assert 0 <= browser.js("document.activeElement.getBoundingClientRect().top") <= 400


CONTRAST = """(() => {
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3) return colour;
    }
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e.checkVisibility() || e.closest("script")) continue;
    const pair = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) low.push(`${e.className || e.tagName} ${e.innerText}: ${ratio.toFixed(2)}`);
  }
  return low;
})()"""


@in_browser
@pytest.mark.parametrize("dark", [False, True])
def test_all_text_has_contrast(dark: bool, browser: Browser, write: Write) -> None:
    browser.open(write(shown(coloured(heads=16)), shown(coloured(heads=16, seed=1))), dark=dark)
    for measure in ("energy", "fidelity"):
        browser.click(f"label:has([value={measure}])")
        assert browser.js(CONTRAST) == []
    browser.search("blue, grey")
    assert browser.js(CONTRAST) == []
    browser.click("#change")
    assert browser.js("document.querySelectorAll('[data-change]').length") == 32
    assert browser.js(CONTRAST) == []


@in_browser
def test_dark_and_light_are_the_systems_or_chosen(browser: Browser, write: Write) -> None:
    page_colour = "getComputedStyle(document.body).backgroundColor"
    path = write(shown(made()))
    browser.open(path)
    light = browser.js(page_colour)
    browser.open(path, dark=True)
    dark = browser.js(page_colour)
    assert light != dark
    seen = {}
    for _ in range(3):
        browser.click("#theme")
        seen[browser.text("#theme")] = browser.js(page_colour)
    assert seen == {"Theme: light": light, "Theme: dark": dark, "Theme: system": dark}


@in_browser
def test_everything_to_act_on_has_a_name(browser: Browser, write: Write) -> None:
    browser.open(write(shown(coloured())))
    browser.search("blue")
    nodes = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node.get("ignored")
    ]
    roles = {role for role, _ in named}
    acting = {"button", "link", "searchbox", "checkbox", "combobox", "slider", "radio", "grid"}
    assert roles >= acting | {"gridcell", "rowheader", "columnheader", "status", "search", "image"}
    assert [role for role, name in named if role in acting | {"image"} and not name.strip()] == []
