"""How soon the command line answers: help, completion, and an ``explain`` from the cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial

from tests.bench.figures import Figure, best_of, seconds

SITHCTL = (sys.executable, "-m", "sithctl")
IMPORTS = (sys.executable, "-c", "import typer, rich")
COMPLETION = {
    "COMP_WORDS": "sithctl de",
    "COMP_CWORD": "1",
    "_SITHCTL_COMPLETE": "complete_bash",
}
EXPLAIN = (*SITHCTL, "explain", "--layer", "5", "--head", "0", "--quiet")


def _run(command: Sequence[str], **variables: str) -> None:
    subprocess.run(
        command,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )


def measure(times: int = 7) -> list[Figure]:
    with tempfile.TemporaryDirectory() as cache:
        cached = partial(_run, EXPLAIN, SITHCTL_CACHE=cache)
        cached()  # fills it
        best = best_of(
            {
                "imports": partial(_run, IMPORTS),
                "help": partial(_run, (*SITHCTL, "--help")),
                "completion": partial(_run, SITHCTL, **COMPLETION),
                "explain": cached,
            },
            times,
        )
    other = f"{seconds(best['imports'])} (import typer, rich)"
    figures = []
    for name in ("help", "completion"):
        ratio = best[name] / best["imports"]
        figures.append(Figure(name, "sithctl", seconds(best[name]), other, ratio, "×", 2.5, False))
    size = "scenes, one head, from the cache"
    took = best["explain"]
    return [*figures, Figure("explain", size, seconds(took), "", took, " s", 1.5, False)]
