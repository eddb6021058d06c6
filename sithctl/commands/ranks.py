"""Several processes of torch's launcher, ``torchrun -m sithctl …``, at one piece of work.

Rank 0 prints and writes. What the ranks hand over lies in main memory, so they meet by gloo, on
whatever device they compute.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import typer

from sithctl.errors import SithctlError, UsageError
from sithctl.views.console import output

T = TypeVar("T")

TIMEOUT = timedelta(minutes=30)  # for a rank to finish its block: more than any should take
STOPPED = 143  # the exit code of SIGTERM, which the launcher sends when a rank has ended
LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID")


class RankLost(SithctlError):
    """Another process of this run is no more."""


def world() -> int:
    """How many ranks there are; 1 without a launcher."""
    return int(os.environ["WORLD_SIZE"]) if all(n in os.environ for n in LAUNCHED) else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ["RANK"]) if world() > 1 else 0


def device(name: str) -> str:
    """The device of this rank: each has a GPU of its machine to itself."""
    own = name == "cuda" and world() > 1
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if own else name


class Team:
    """The ranks of a run, which meet between blocks; all must come to every meeting."""

    def __init__(self) -> None:
        import torch.distributed as dist

        self._dist = dist
        with _losses():
            dist.init_process_group("gloo", timeout=TIMEOUT)

    def meet(self, word: Any = None, failure: str | None = None) -> list[Any]:
        """Every rank's word, in order of ranks.

        Raises:
            RankLost: one has failed, and says why; or is gone, and nobody knows.
        """
        words: list[Any] = [None] * world()
        with _losses():
            self._dist.all_gather_object(words, (word, failure))
        for number, (_, reason) in enumerate(words):
            if reason is not None:
                raise RankLost(f"rank {number} failed", None, reason)
        return [word for word, _ in words]

    def hand_over(self, things: Any) -> list[Any]:
        """What every rank hands to rank 0; nothing on the others."""
        taken: list[Any] | None = [None] * world() if rank() == 0 else None
        with _losses():
            self._dist.gather_object(things, taken)
        return taken or []

    def leave(self) -> None:
        self._dist.destroy_process_group()


@contextmanager
def _losses() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # gloo's own for a connection that is closed, or a time-out
        raise RankLost(
            "another rank has ended or does not answer", None, "run the same command again"
        ) from error


_team: Team | None = None


def team() -> Team | None:
    """The ranks that this process works with; None where it works alone."""
    return _team


def words(word: T) -> list[T]:
    """Every rank's word, in order of ranks; this one's where it works alone."""
    return [word] if _team is None else _team.meet(word)


@contextmanager
def together(splits: bool) -> Iterator[None]:
    """A command's work as one of several ranks; as it is where there is no launcher.

    Args:
        splits: whether the command shares its work out; of another, rank 0 does all.
    """
    global _team
    if world() == 1:
        yield
        return
    if rank() > 0:
        output.mute()
    if not splits:
        if rank() > 0:
            raise typer.Exit(0)
        yield
        return
    _team = Team()
    try:
        yield
    except SystemExit as error:
        if error.code != STOPPED:
            raise
        what = "stopped: another rank has ended, or the launcher was told to stop"
        raise RankLost(what, None, "run the same command again") from None
    except (typer.Exit, RankLost):
        raise
    except Exception as error:
        if rank() > 0:
            _tell(_team, error)
        raise
    finally:
        _team.leave()
        _team = None


def _tell(team: Team, error: Exception) -> None:
    """Rank 0 is the one who prints: come to its next meeting with the reason."""
    with suppress(RankLost):
        team.meet(failure=str(error) or type(error).__name__)


def refuse_pipe(source: str | None) -> None:
    """Standard input has one reader, and there are several ranks.

    Raises:
        UsageError: it is to be read.
    """
    if source == "-" and world() > 1:
        raise UsageError("standard input, of several ranks", None, "name a file")
