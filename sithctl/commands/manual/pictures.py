"""The README's pictures and tables, from real output."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sithctl.kinds import Codes

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
PICTURES = ROOT / "man" / "pictures"
CURVES = ("fidelity", "spurious")  # shown in the README
WIDTH = 100  # columns: as wide as a page shows without shrinking letters
WORDS, FOUND = "red, crimson", 5


def write_pictures() -> None:
    """What commands that the README names really show: as on a terminal, and the map of heads."""
    from sithctl.stages.explain import explain
    from sithctl.stages.find import find
    from sithctl.views import found
    from sithctl.views.terminal import tables

    _write_map()  # first: it starts processes, which must not inherit another's threads
    PICTURES.mkdir(parents=True, exist_ok=True)
    rows = explain(_codes("5"), head="0", top=3)
    _write("explain", "explain --layer 5 --head 0 --top 3", tables(rows, "scenes", WIDTH))
    matches = find(_codes(None), WORDS)
    title = found.title(matches.model, matches.phrases, len(matches))
    shown = found.table(matches[:FOUND], title, WIDTH)
    _write("find", f'find "{WORDS}" --top {FOUND}', shown)


def _codes(layers: str | None) -> Codes:
    from sithctl.commands.chain import Chain
    from sithctl.stages.joining import joined
    from sithctl.stages.options import Options

    return joined(Chain("scenes", None, None, Options()).codes(layers))


def _write(name: str, words: str, shown: RenderableType) -> None:
    from io import StringIO

    from rich.console import Console

    console = Console(record=True, width=WIDTH, file=StringIO(), highlight=False)
    console.print(shown)
    svg = console.export_svg(title=f"sithctl {words}", unique_id=f"sithctl-{name}")
    (PICTURES / f"{name}.svg").write_text(svg)


def _write_map() -> None:
    """By the README's own commands, but for those that only print."""
    from tempfile import TemporaryDirectory

    from sithctl.commands.manual import shell

    (block,) = re.findall(r"```sh\n([^`]*--figure map\.svg)$", README.read_text(), re.MULTILINE)
    making = [line for line in block.splitlines() if re.search(r" (-o|--figure) ", line)]
    with TemporaryDirectory() as folder:
        shell.preload()
        for line in making:
            shell.run(line, Path(folder))
        (PICTURES / "map.svg").write_bytes((Path(folder) / "map.svg").read_bytes())


def write_experiments(folder: Path) -> None:
    """The README's table of experiments and its curves, from what ``sithctl reproduce all -o
    FOLDER`` wrote."""
    import json

    from sithctl.evaluation.summary import LINES, as_markdown

    files = {name: folder / f"{name}.json" for name in LINES}
    _between("experiments", as_markdown({n: json.loads(f.read_text()) for n, f in files.items()}))
    for name in CURVES:
        (PICTURES / f"{name}.svg").write_text((folder / f"{name}.svg").read_text())


def _between(mark: str, text: str) -> None:
    """Put a text between two marks of the README."""
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, rest = README.read_text().split(start)
    README.write_text(before + start + text + end + rest.split(end)[1])


def write_planted() -> None:
    """The README's table of planted truth."""
    from sithctl.commands.chain import bundled_pool
    from sithctl.scenes.planted import as_markdown, measure
    from sithctl.stages.fold import fold
    from sithctl.stages.svd import svd

    _between("planted", as_markdown(measure(svd(fold("scenes")), bundled_pool())))
