"""The one object that owns both streams: data on standard output; progress, notes and errors on
standard error, and decoration only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.segment import Segment, Segments
from rich.table import Column
from rich.text import Text

from sithctl.views.plain import has_unicode, simplified
from sithctl.views.text import data, printable

Tell = Callable[[int, int], None]

BESIDE_BAR = 66  # columns of what stands beside a progress bar: it must not wrap


class Pace(ProgressColumn):
    """How many a second so far, and how long the rest will take at that rate."""

    def render(self, task: Task) -> Text:
        done, seconds = task.completed - task.fields.get("base", 0), task.fields.get("at")
        if done <= 0 or not seconds:
            return Text()
        rate = done / seconds
        shown = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"
        if task.total is not None:
            since = (task.elapsed or seconds) - seconds  # between two words of the work's
            left = max(0.0, (task.total - task.completed) / rate - since)
            shown += f", {timedelta(seconds=round(left))} left"
        return Text(shown, style="progress.data.speed")


class Output:
    """Where a command's words go.

    Attributes:
        quiet: no progress, no notes; errors remain.
        debug: failures show their traceback.
    """

    def __init__(self) -> None:
        self.quiet = False
        self.debug = False
        self._muted = False

    def mute(self) -> None:
        """Say nothing at all from now on: another process of the same run does."""
        self._muted = True

    def text(self, text: str) -> None:
        """Data: as it is in a pipe or a file, in UTF-8; on a terminal as that can show it."""
        if sys.stdout.isatty():
            sys.stdout.write(data(text, sys.stdout.encoding or "utf-8"))
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()

    def table(self, renderable: RenderableType) -> None:
        """Something for people, on standard output."""
        console = Console(highlight=False, soft_wrap=False)
        lines = console.render_lines(simplified(renderable), pad=False)
        trimmed = [part for line in lines for part in (*_trimmed(line), Segment.line())]
        console.print(Segments(trimmed), end="")

    @property
    def width(self) -> int:
        """Of standard output, in columns."""
        return Console().width

    def note(self, message: str) -> None:
        """A word beside the data; silent with ``--quiet``."""
        if not (self.quiet or self._muted):
            Console(stderr=True, highlight=False).print(Text(printable(message), style="dim"))

    def told(self, command: str) -> None:
        """A command that is about to run, on one line whatever its length, to be copied."""
        if not self.quiet:
            console = Console(stderr=True, highlight=False, soft_wrap=True)
            console.print(Text(f"$ {printable(command)}", style="dim"))

    def error(self, stage: str, message: str) -> None:
        """One line, never wrapped."""
        if self._muted:
            return
        line = printable(" ".join(message.split()))
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            Text.assemble((f"sithctl {stage}:" if stage else "sithctl:", "bold red"), " ", line)
        )

    @contextmanager
    def working(self, label: str) -> Iterator[None]:
        """A spinner on standard error, where that is a terminal, for what cannot be counted."""
        console = Console(stderr=True)
        if self.quiet or self._muted or not console.is_terminal:
            yield
            return
        with console.status(label, spinner="dots" if has_unicode(sys.stderr) else "line"):
            yield

    @contextmanager
    def progress(self, label: str) -> Iterator[Tell]:
        """A bar on standard error: the body calls what it is given with (done, total), first as
        it begins, total 0 where it is unknown. Nothing is shown where standard error is no
        terminal."""
        console = Console(stderr=True)
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=min(40, max(4, console.width - BESIDE_BAR))),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            Pace(table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
            disable=self.quiet or self._muted or not console.is_terminal,
        )
        with bar:
            task = bar.add_task(label, total=None)
            begun = False

            def tell(done: int, total: int) -> None:
                nonlocal begun
                if not begun:  # what an earlier run has done says nothing of this one's pace
                    bar.reset(task, completed=done, total=total or None, base=done)
                    begun = True
                at = bar.tasks[0].elapsed
                bar.update(task, completed=done, total=total or None, at=at)

            yield tell


def _trimmed(line: list[Segment]) -> list[Segment]:
    """Without spaces at the end: a terminal that takes a letter for wider than it was measured, as
    some do emoji, would break the line."""
    kept = list(line)
    while kept and not kept[-1].text.strip():
        kept.pop()
    return [*kept[:-1], Segment(kept[-1].text.rstrip(), kept[-1].style)] if kept else []


output = Output()
