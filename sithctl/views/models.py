"""Model families, and the tensors that folding reads, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sithctl.views.text import printable


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


def families(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The table of families: what each is called, how it reads out, and an example."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("family", overflow="fold", ratio=3)
    table.add_column("library", no_wrap=True)
    table.add_column("tower", no_wrap=True)
    table.add_column("norm", no_wrap=True)
    table.add_column("read-out", overflow="fold", ratio=3)
    table.add_column("pool", no_wrap=True)
    table.add_column("example", overflow="fold", ratio=4)
    for row in rows:
        read_out = " → ".join(row["readout"])
        cells = (row["family"], row["library"], row["tower"], row["norm"], read_out)
        table.add_row(*map(Text, cells), Text(row["pool"]), Text(row["example"], style="dim"))
    return table
