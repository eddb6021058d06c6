"""Completion scripts for the shells: each asks the program itself."""

from __future__ import annotations

from typer import completion

SHELLS = {"bash": "sithctl.bash", "zsh": "_sithctl", "fish": "sithctl.fish"}


def scripts() -> dict[str, str]:
    """The scripts by the names of their files."""
    return {file: _script(shell) for shell, file in SHELLS.items()}


def _script(shell: str) -> str:
    script = completion.get_completion_script(  # type: ignore[attr-defined]
        prog_name="sithctl", complete_var="_SITHCTL_COMPLETE", shell=shell
    )
    return str(script).rstrip() + "\n"
