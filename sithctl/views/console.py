"""The one object that owns both streams: data on standard output; progress, notes and errors on
standard error, and decoration only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sithctl.views.text import printable

Tell = Callable[[int, int], None]


class Output:
    """Where a command's words go.

    Attributes:
        quiet: no progress, no notes; errors remain.
        debug: failures show their traceback.
    """

    def __init__(self) -> None:
        self.quiet = False
        self.debug = False

    def text(self, text: str) -> None:
        """Data: as it is in a pipe or a file, in UTF-8; without control codes on a terminal."""
        if sys.stdout.isatty():
            lines = ("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
            sys.stdout.write("\n".join(lines))
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()

    def table(self, renderable: RenderableType) -> None:
        """Something for people, on standard output."""
        Console(highlight=False, soft_wrap=False).print(renderable)

    @property
    def width(self) -> int:
        """Of standard output, in columns."""
        return Console().width

    def note(self, message: str) -> None:
        """A word beside the data; silent with ``--quiet``."""
        if not self.quiet:
            Console(stderr=True, highlight=False).print(Text(printable(message), style="dim"))

    def step(self, line: str) -> None:
        """A command line that is run: told like a note, never wrapped, so that it can be copied."""
        if not self.quiet:
            text = Text(printable(line), style="dim")
            Console(stderr=True, highlight=False, soft_wrap=True).print(text)

    def error(self, stage: str, message: str) -> None:
        """One line, never wrapped."""
        line = printable(" ".join(message.split()))
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            Text.assemble((f"sithctl {stage}:" if stage else "sithctl:", "bold red"), " ", line)
        )

    @contextmanager
    def working(self, label: str) -> Iterator[None]:
        """A spinner on standard error, where that is a terminal, for what cannot be counted."""
        console = Console(stderr=True)
        if self.quiet or not console.is_terminal:
            yield
            return
        with console.status(label):
            yield

    @contextmanager
    def progress(self, label: str) -> Iterator[Tell]:
        """A bar on standard error: the body calls what it is given with (done, total), total 0
        where it is unknown. Nothing is shown where standard error is no terminal."""
        console = Console(stderr=True)
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=self.quiet or not console.is_terminal,
        )
        with bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total or None)


output = Output()
