"""Every generated page and completion, and whether what is on disk has drifted from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from sithctl.commands.app import app
from sithctl.commands.manual import completions, examples, files, method, pages

ROOT = Path(__file__).parents[3]


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    written = {f"man/{name}.1": text for name, text in pages.pages(_program(), "sithctl")}
    written["man/sithctl-files.5"] = files.page()
    written["man/sithctl-method.7"] = method.page()
    written |= {f"completions/{name}": text for name, text in completions.scripts().items()}
    return {ROOT / name: text for name, text in written.items()}


def write_examples() -> None:
    """Run every example, and keep what it prints, and nothing else."""
    texts = dict(examples.run(_examples()))
    examples.FOLDER.mkdir(exist_ok=True)
    for old in examples.FOLDER.glob("*.txt"):
        old.unlink()
    for title, text in texts.items():
        (examples.FOLDER / f"{title}.txt").write_text(text)


def false_examples() -> list[str]:
    """The pages whose examples print something else now, or no longer run."""
    return [title for title, text in examples.run(_examples()) if not _kept(title, text)]


def _kept(title: str, text: str) -> bool:
    path = examples.FOLDER / f"{title}.txt"
    return path.exists() and examples.alike(path.read_text(), text)


def _examples() -> dict[str, list[str]]:
    return dict(pages.examples(_program(), "sithctl"))


def _program() -> Any:
    return typer.main.get_command(app)


def drifted() -> list[Path]:
    """Generated files whose text on disk is not what would be written."""
    return [p for p, text in generated().items() if not p.exists() or p.read_text() != text]
