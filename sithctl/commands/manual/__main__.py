"""``python -m sithctl.commands.manual``: write all that is generated; ``--check`` writes nothing
and fails when a page or a completion has drifted."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sithctl.commands.manual.check import ROOT, drifted, generated
from sithctl.commands.manual.pictures import write_experiments, write_picture, write_planted


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sithctl.commands.manual")
    parser.add_argument("--check", action="store_true", help="fail on drift, write nothing")
    parser.add_argument("--experiments", type=Path, help="write what `reproduce all -o` found")
    options = parser.parse_args()
    if options.experiments:
        write_experiments(options.experiments)
    elif options.check:
        _check()
    else:
        _write()


def _check() -> None:
    stale = [str(path.relative_to(ROOT)) for path in drifted()]
    if stale:
        print(f"out of date: {', '.join(stale)}: run `make docs`", file=sys.stderr)
        raise SystemExit(1)


def _write() -> None:
    for path, text in generated().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    write_picture()
    write_planted()


if __name__ == "__main__":
    main()
