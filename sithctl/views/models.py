"""Model families, and the tensors that folding reads, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sithctl.views.text import printable

WIDE = 120  # columns from which there is room for norms and read-outs


def needed(
    name: str,
    architecture: Mapping[str, Any],
    path: str,
    tensors: Sequence[tuple[str, tuple[int, ...], str]],
) -> RenderableType:
    """The tensors that would be read: name, shape, type."""
    sizes = ", ".join(f"{k} {v}" for k, v in architecture.items() if k != "family")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("tensor", overflow="fold")
    table.add_column("shape", no_wrap=True)
    table.add_column("type", no_wrap=True)
    for tensor, shape, dtype in tensors:
        table.add_row(Text(printable(tensor)), " × ".join(map(str, shape)), dtype)
    return Group(
        Text(printable(f"{name}: {architecture['family']}: {sizes}"), style="bold"),
        Text(printable(path), style="dim"),
        Text(),
        table,
    )


def families(rows: Sequence[Mapping[str, Any]], width: int) -> RenderableType:
    """The families by library: what explains each, an example, and where there is room how each
    reads out.

    Args:
        rows: dictionaries as ``sithctl models --format json`` has them.
        width: of the terminal, in columns.
    """
    parts: list[RenderableType] = []
    for library, group in groupby(rows, key=lambda row: row["library"]):
        table = Table(
            title=Text(library, style="bold"),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        table.add_column("family", overflow="fold", max_width=34)
        table.add_column("pool", no_wrap=True)
        if width >= WIDE:
            table.add_column("norm", no_wrap=True)
            table.add_column("read-out", no_wrap=True)
        table.add_column("example", overflow="fold", style="dim")
        for row in group:
            more = (row["norm"], " → ".join(row["readout"])) if width >= WIDE else ()
            table.add_row(*map(Text, (row["family"], row["pool"], *more, row["example"])))
        parts.append(table)
    return Group(*parts)
