"""Where experiments work: a folder in which sithctl's own commands are run, and remembered.

An experiment is a chain of command lines, so whoever reads them can run them on another model. That
a figure came from them needs no proof: nothing else was run.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sithctl.kinds import Codes

Call = Callable[[Sequence[str]], str]  # a command's words → what it wrote to standard output
Load = Callable[[Path], Codes]


@dataclass
class Lab:
    """A folder, and what was run in it.

    Attributes:
        folder: where files are read and written by relative names.
        call: runs ``sithctl``, or a module by ``python -m``, in the folder.
        read: reads a file of codes.
        seed: of pictures and of whatever is drawn.
        short: whether few pictures and controls will do.
        commands: the lines of the present experiment, in order.
        known: what each line that was ever run wrote, so that experiments share their beginnings.
    """

    folder: Path
    call: Call
    read: Load
    seed: int = 0
    short: bool = False
    commands: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)

    def run(self, line: str) -> str:
        """Run a line, unless it was run before: ``sithctl svd heads.safetensors -o s``."""
        if line not in self.commands:
            self.commands.append(line)
        if line not in self.known:
            self.known[line] = self.call(shlex.split(line))
        return self.known[line]

    def load(self, name: str) -> Codes:
        """Codes that some line wrote."""
        return self.read(self.folder / name)

    def measure(self, line: str) -> dict[str, Any]:
        """Run a line that measures, and read what it found."""
        found: dict[str, Any] = json.loads(self.run(f"{line} --format json"))
        return found

    def write(self, name: str, lines: Sequence[str]) -> None:
        """A small text file that commands read, made by a command of its own."""
        quoted = " ".join(shlex.quote(line) for line in lines)
        command = f"printf '%s\\n' {quoted} > {shlex.quote(name)}"
        if command not in self.commands:
            self.commands.append(command)
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def chain(self) -> None:
        """The bundled model explained as by default: heads, spectra, pool and codes."""
        self.run("sithctl fold scenes -o heads.safetensors")
        self.run("sithctl svd heads.safetensors -o spectra.safetensors")
        self.run("sithctl encode-pool scenes -o pool.h5")
        self.run("sithctl decompose spectra.safetensors --pool pool.h5 -o codes.h5")
