"""Every figure, one module each: python -m tests.bench [PART …] [--json FILE] [--readme].

Ratios of one run, whose sides take turns, the best of several; absolute bounds are for two idle
cores. On a busy machine give --threads 1: then the processor's time counts, not the wall's.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import import_module
from pathlib import Path

from sithctl.commands.app import TORCH

for name, value in TORCH.items():  # as the program does, before torch is loaded
    os.environ.setdefault(name, value)

import torch  # noqa: E402

from tests.bench.figures import document, markdown, table  # noqa: E402

PARTS = ("start", "svd", "texts", "images", "weights", "search", "pool")
ASKED = ("gpu",)  # by name alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    parser.add_argument("--readme", action="store_true", help="print the last run in Markdown")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - {*PARTS, *ASKED}:
        parser.error(f"no part {min(unknown)}: {', '.join((*PARTS, *ASKED))}")
    if arguments.readme:
        print(markdown(json.loads(arguments.json.read_text())))
        return
    torch.set_num_threads(arguments.threads)
    figures = []
    for part in arguments.parts or PARTS:
        figures += import_module(f"tests.bench.{part}").measure()
    print(table(figures))
    arguments.json.write_text(json.dumps(document(figures), indent=2) + "\n")


if __name__ == "__main__":
    main()
