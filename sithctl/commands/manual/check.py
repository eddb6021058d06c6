"""Every generated page and completion, and whether what is on disk has drifted from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from sithctl.commands.app import app
from sithctl.commands.manual import completions, files, method, pages

ROOT = Path(__file__).parents[3]


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    program: Any = typer.main.get_command(app)
    written = {f"man/{name}.1": text for name, text in pages.pages(program, "sithctl")}
    written["man/sithctl-files.5"] = files.page()
    written["man/sithctl-method.7"] = method.page()
    written |= {f"completions/{name}": text for name, text in completions.scripts().items()}
    return {ROOT / name: text for name, text in written.items()}


def drifted() -> list[Path]:
    """Generated files whose text on disk is not what would be written."""
    return [p for p, text in generated().items() if not p.exists() or p.read_text() != text]
