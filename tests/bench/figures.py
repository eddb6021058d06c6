"""What a figure of the bench is, and how figures are shown."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured thing.

    Attributes:
        stage, size: what, and of what size.
        ours, other: in words: the measured way, and what it is measured against.
        value: the ratio or the number that is judged.
        unit: of the value: ``×``, `` s``, ….
        wanted: its bound; None where there is none on this machine.
        least: whether the bound is a lower one.
    """

    stage: str
    size: str
    ours: str
    other: str
    value: float
    unit: str
    wanted: float | None
    least: bool = True

    @property
    def reached(self) -> bool:
        if self.wanted is None:
            return True
        return self.value >= self.wanted if self.least else self.value <= self.wanted

    def shown(self) -> str:
        return f"{self.value:.3g}{self.unit}"

    def bound(self) -> str:
        if self.wanted is None:
            return ""
        return f"{'≥' if self.least else '≤'} {self.wanted:g}{self.unit}"


def best_of(
    runs: dict[str, Callable[[], object]], times: int, now: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """The best seconds of each; they take turns, so that load meets all alike."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(times):
        for name, run in runs.items():
            start = now()
            run()
            best[name] = min(best[name], now() - start)
    return best


def clock() -> Callable[[], float]:
    """The processor's time with one thread, where nobody waits for another on a busy machine."""
    import torch

    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def table(figures: Iterable[Figure]) -> str:
    rows = [("stage", "size", "ours", "against", "figure", "wanted", "")]
    for f in figures:
        mark = "" if f.reached else "missed"
        rows.append((f.stage, f.size, f.ours, f.other, f.shown(), f.bound(), mark))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def markdown(document: dict[str, Any]) -> str:
    """The README's table, between its marks."""
    lines = [
        "<!-- bench -->",
        f"Measured on {document['machine']}, both ways in one run:",
        "",
        "| Stage | Size | Ours | The published way, or what it is held against | Ratio |",
        "|---|---|---|---|---|",
    ]
    for entry in document["figures"]:
        f = Figure(**entry)
        missed = "" if f.reached else f" (wanted {f.bound()})"
        lines.append(
            f"| {f.stage} | {f.size} | {f.ours} | {f.other or '—'} | {f.shown()}{missed} |"
        )
    return "\n".join([*lines, "<!-- /bench -->"])


def document(figures: Iterable[Figure]) -> dict[str, Any]:
    load = os.getloadavg()[0]
    return {"machine": machine(), "load": load, "figures": [asdict(f) for f in figures]}


def machine() -> str:
    """The processor, and how many of its cores there are."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        name = found[0].partition(":")[2].strip() if found else name
    return f"{name}, {os.cpu_count()} cores"
