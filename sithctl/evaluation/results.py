"""What an evaluation finds: tables of records that a terminal shows and JSON holds alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sithctl.errors import InputError
from sithctl.kinds.shown import Shown, number_of

if TYPE_CHECKING:
    from pandas import DataFrame

Record = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        key: of the records; ``a.b`` is ``record["a"]["b"]``.
        heading: what people read.
        show: one of ``views.evaluation.SHOW``: ``text``, ``count``, ``figure``, ``fine`` (four
            digits), ``share`` (a percentage), ``points`` (a signed difference in percentage
            points), ``flag``.
    """

    key: str
    heading: str
    show: str = "figure"


@dataclass(frozen=True)
class Table:
    """Records of one sort.

    Attributes:
        key: names them in JSON.
        title: for people.
        columns: what people see; JSON has whole records.
        records: a ``Interval.document()`` may stand where a number does.
        single: JSON has the only record itself, not a list of one.
        limit: so many rows are shown on a terminal at most; JSON has all.
        apart: JSON has each record by itself, named by what it has under this key.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    records: list[Record]
    single: bool = False
    limit: int | None = None
    apart: str | None = None

    def document(self) -> dict[str, Any]:
        """For JSON: the records, or each of them, by name."""
        if self.apart is not None:
            return {record[self.apart]: record for record in self.records}
        return {self.key: self.records[0] if self.single else self.records}


@dataclass(frozen=True, repr=False)
class Evaluation(Shown):
    """What one task found.

    Attributes:
        task: ``fidelity``, ``zero-shot``, ….
        header: whose it is and how it was measured, JSON-ready.
        tables: in the order in which people read them.
        notes: what a reader of the tables must know.
        failures: what fell by more than was allowed, a line each: the command ends with 4.
    """

    task: str
    header: Mapping[str, Any]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """For JSON: the header, each table's records by its key, notes and failures."""
        result: dict[str, Any] = {"task": self.task, **self.header}
        for table in self.tables:
            result |= table.document()
        if self.notes:
            result["notes"] = list(self.notes)
        if self.failures:
            result["failures"] = list(self.failures)
        return result

    def table(self, key: str) -> Table:
        return next(table for table in self.tables if table.key == key)

    def to_pandas(self, table: str | None = None) -> DataFrame:
        """A table's records as a data frame: an interval takes three columns, ``….mean``, ``….low``
        and ``….high``.

        Args:
            table: by its key; the first when None.

        Raises:
            InputError: no such table, or pandas is not installed.
        """
        from sithctl.views.frames import frame, of_records

        keys = [t.key for t in self.tables]
        if table is not None and table not in keys:
            raise InputError(f"no table {table}", self.task, f"one of {', '.join(keys)}")
        return frame(of_records(self.table(table or keys[0]).records))

    def __repr__(self) -> str:
        tables = ", ".join(
            f"{t.key} {number_of(len(t.records), 'row')}" for t in self.tables if t.records
        )
        fallen = f"; fallen: {'; '.join(self.failures)}" if self.failures else ""
        return f"Evaluation({self.task}: {tables}{fallen})"


Tell = Callable[[int, int], None]


def untold(done: int, total: int) -> None:
    """For whoever wants no progress."""


@dataclass
class Progress:
    """Several pieces of work as one count."""

    tell: Tell
    total: int
    done: int = field(default=0)

    def step(self, count: int = 1) -> None:
        self.done += count
        self.tell(self.done, self.total)
