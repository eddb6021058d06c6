"""Slow questions in parallel: threads that a failure or Ctrl-C leaves behind at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

GRACE = 5.0  # seconds for what is under way when something else fails


def in_parallel(
    work: Callable[[T], R], items: Sequence[T], jobs: int
) -> Generator[tuple[T, R], None, None]:
    """``(item, work(item))`` in the order in which they come.

    The first failure stops the rest and is raised here, after what is under way has had a few
    seconds to end.

    >>> sorted(in_parallel(abs, [-3, 2], jobs=2))
    [(-3, 3), (2, 2)]
    """
    todo: SimpleQueue[T] = SimpleQueue()
    done: SimpleQueue[tuple[T, R | BaseException]] = SimpleQueue()
    stopped = Event()
    for item in items:
        todo.put(item)

    def run() -> None:
        while not stopped.is_set():
            try:
                item = todo.get_nowait()
            except Empty:
                return
            try:
                done.put((item, work(item)))
            except BaseException as error:
                stopped.set()  # here, before another thread takes the next
                done.put((item, error))

    # Daemons, not an executor: its threads are joined at exit, and Ctrl-C would wait for them.
    threads = [Thread(target=run, daemon=True) for _ in range(min(jobs, len(items)))]
    for thread in threads:
        thread.start()
    try:
        for _ in items:
            item, result = done.get()
            if isinstance(result, BaseException):
                _await(threads)
                raise result
            yield item, result
    finally:
        stopped.set()


def _await(threads: Sequence[Thread]) -> None:
    until = time.monotonic() + GRACE
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
