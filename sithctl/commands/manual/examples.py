"""Worked examples: the commands that help texts name, run one after another in one folder, and what
they really print, kept in ``man/examples``.

Where the last of a page prints nothing it has made a file: what ``sithctl info`` says of it is
shown then.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from sithctl.commands.manual import shell

FOLDER = Path(__file__).parents[3] / "man" / "examples"
PROMPT = "$ "
WIDTH = 80
LINES = 16  # of one command's output
TERMINAL = {"COLUMNS": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb", "HF_HUB_OFFLINE": "1"}
TERMINAL["OMP_NUM_THREADS"] = "1"  # the same figures, and no waiting for each other
LEFT_OUT = ("SITHCTL_MODEL", "FORCE_COLOR", "CLICOLOR_FORCE", "OPENAI_BASE_URL")
TOLERANCE = 0.05  # of a figure: another processor rounds otherwise
DIGEST = re.compile(r"\b[0-9a-f]{12,}\b")
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def shown(title: str, commands: list[str]) -> str:
    """What the page of a command shows: its examples with their output, without it where the
    examples are new and have not been run."""
    path = FOLDER / f"{title}.txt"
    text = path.read_text() if path.exists() else ""
    return text.rstrip("\n") if commands_in(text) == commands else "\n".join(commands)


def commands_in(transcript: str) -> list[str]:
    lines = transcript.splitlines()
    told = [line.removeprefix(PROMPT) for line in lines if line.startswith(PROMPT)]
    return [line for before, line in pairwise(["", *told]) if line != _look(before)]


def _look(command: str) -> str | None:
    """The command that shows what another has made."""
    made = re.search(r"-o (\S+)$", command)
    return f"sithctl info {made[1]}" if made else None


def run(examples: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Run all examples in their order; the transcript of each page.

    Args:
        examples: the commands by the name of the page.
    """
    with tempfile.TemporaryDirectory() as folder, _terminal(f"{folder}/.cache"):
        shell.preload()
        for title, commands in examples.items():
            told = [_told(command, Path(folder)) for command in commands]
            look = _look(commands[-1]) if told[-1].count("\n") == 1 else None
            yield title, "".join([*told, _told(look, Path(folder)) if look else ""])


@contextmanager
def _terminal(cache: str) -> Iterator[None]:
    """The surroundings of every example, whatever this process's own are."""
    before = dict(os.environ)
    os.environ.update(TERMINAL, SITHCTL_CACHE=cache)
    for name in LEFT_OUT:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _told(command: str, folder: Path) -> str:
    """A command and what it prints."""
    return f"{PROMPT}{command}\n{_trimmed(shell.run(command, folder))}"


def _trimmed(text: str) -> str:
    """So many lines, cut to the width, none with spaces at its end, none empty at the end or after
    another."""
    lines = re.sub(r"\n{3,}", "\n\n", "\n".join(map(str.rstrip, text.splitlines()))).strip("\n")
    rows = [cut(row) for row in lines.split("\n")] if lines else []
    more = ["…"] if len(rows) > LINES else []
    return "".join(f"{row}\n" for row in [*rows[:LINES], *more])


def cut(row: str) -> str:
    return row if len(row) <= WIDTH else row[: WIDTH - 1] + "…"


def alike(kept: str, found: str) -> bool:
    """Whether two transcripts say the same: words as they are, figures nearly, and of ten lines one
    may differ, for a processor that rounds otherwise may turn a near tie."""
    before, after = kept.splitlines(), found.splitlines()
    differing = sum(not _same(a, b) for a, b in zip(before, after, strict=False))
    return len(before) == len(after) and differing <= len(before) // 10


def _same(line: str, other: str) -> bool:
    words, others = (NUMBER.split(DIGEST.sub("…", text)) for text in (line, other))
    figures, found = (NUMBER.findall(DIGEST.sub("…", text)) for text in (line, other))
    near = (
        abs(float(a) - float(b)) <= TOLERANCE * abs(float(a)) + 10.0 ** -_digits(a)
        for a, b in zip(figures, found, strict=False)
    )
    return [w.split() for w in words] == [w.split() for w in others] and all(near)


def _digits(figure: str) -> int:
    """After its point."""
    return len(figure.partition(".")[2])
