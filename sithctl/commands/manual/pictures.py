"""The README's pictures and tables, from real output."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
CURVES = ("fidelity", "spurious")  # shown in the README


def write_picture() -> None:
    """The README's picture: what `sithctl explain --layer 5 --head 0` really shows."""
    from io import StringIO

    from rich.console import Console

    from sithctl.commands.chain import Chain
    from sithctl.stages.explain import explain
    from sithctl.stages.options import Options
    from sithctl.views.terminal import tables

    (codes,) = Chain("scenes", None, None, Options()).codes("5")
    rows = explain(codes, head="0", top=3)
    console = Console(record=True, width=100, file=StringIO(), highlight=False)
    console.print(tables(rows, "scenes", 100))
    picture = ROOT / "man" / "pictures" / "explain.svg"
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(
        console.export_svg(title="sithctl explain --layer 5 --head 0 --top 3", unique_id="sithctl")
    )


def write_experiments(folder: Path) -> None:
    """The README's table of experiments and its curves, from what ``sithctl reproduce all -o
    FOLDER`` wrote."""
    import json

    from sithctl.evaluation.summary import LINES, as_markdown

    files = {name: folder / f"{name}.json" for name in LINES}
    _between("experiments", as_markdown({n: json.loads(f.read_text()) for n, f in files.items()}))
    for name in CURVES:
        (ROOT / "man" / "pictures" / f"{name}.svg").write_text((folder / f"{name}.svg").read_text())


def _between(mark: str, text: str) -> None:
    """Put a text between two marks of the README."""
    readme = ROOT / "README.md"
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, rest = readme.read_text().split(start)
    readme.write_text(before + start + text + end + rest.split(end)[1])


def write_planted() -> None:
    """The README's table of planted truth."""
    from sithctl.commands.chain import bundled_pool
    from sithctl.scenes.planted import as_markdown, measure
    from sithctl.stages.fold import fold
    from sithctl.stages.svd import svd

    _between("planted", as_markdown(measure(svd(fold("scenes")), bundled_pool())))
