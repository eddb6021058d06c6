"""A line typed into a real shell: what completion makes of it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

from sithctl.commands.manual import ROOT

SCRIPTS = ROOT / "completions"
SHOW = "\x18"  # Ctrl-X writes the line as it stands into a file
BASH = """
set +o history
PS1='ready> '
source {scripts}/sithctl
show() {{ printf '%s' "$READLINE_LINE" >{out}.part; mv {out}.part {out}; }}
bind -x '"\\C-x": show'
"""
ZSH = """
PS1='ready> '
fpath=({scripts} $fpath)
autoload -Uz compinit
compinit -u -D
show() {{ print -rn -- "$BUFFER" >{out}.part; mv {out}.part {out}; }}
zle -N show
bindkey '^X' show
"""


def typed(shell: str, line: str, folder: Path) -> str:
    """The line that a terminal shows after ``line`` and Tab.

    Args:
        shell: bash or zsh.
        line: as a person types it.
        folder: where the shell is started.
    """
    out = folder / ".typed"
    rc = folder / (".zshrc" if shell == "zsh" else ".bashrc")
    rc.write_text((ZSH if shell == "zsh" else BASH).format(scripts=SCRIPTS, out=out))
    words = ["zsh", "-i"] if shell == "zsh" else ["bash", "--rcfile", str(rc), "-i"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    master, slave = pty.openpty()
    process = subprocess.Popen(
        words,
        cwd=folder,
        env={**os.environ, "PATH": path, "ZDOTDIR": str(folder), "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        _read_until(master, "ready> ")
        os.write(master, f"{line}\t{SHOW}".encode())
        end = time.monotonic() + 20
        while not out.exists() and time.monotonic() < end:
            _drain(master)
        return out.read_text()
    finally:
        process.kill()
        process.wait()
        os.close(master)
        out.unlink(missing_ok=True)


def _read_until(terminal: int, mark: str) -> None:
    seen, end = "", time.monotonic() + 20
    while mark not in seen and time.monotonic() < end:
        seen += _drain(terminal)


def _drain(terminal: int) -> str:
    """What the shell has written, so that it never waits for a reader."""
    ready, _, _ = select.select([terminal], [], [], 0.05)
    return os.read(terminal, 65536).decode(errors="replace") if ready else ""
