"""What can go wrong, and the exit code each kind of failure has."""

from __future__ import annotations


class SithctlError(Exception):
    """A failure told in one line: what, where, and what to do about it."""

    exit_code = 1

    def __init__(self, what: str, where: object = None, todo: str | None = None) -> None:
        self.what, self.where, self.todo = what, where, todo
        parts = [str(part) for part in (what, where, todo) if part is not None]
        super().__init__(": ".join(parts))


class UsageError(SithctlError):
    """The command was put wrongly."""

    exit_code = 2


class InputError(SithctlError):
    """An input cannot be read, or does not fit the others."""

    exit_code = 3


class CheckFailed(SithctlError):
    """The work was done, and a check of it failed."""

    exit_code = 4


class Refused(InputError):
    """One of many questions is not answered; others may be."""
