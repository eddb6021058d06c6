"""``python -m sithctl.commands.manual``: write all that is generated; ``--check`` writes nothing
and fails when a page or a completion has drifted."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sithctl.commands.manual.check import ROOT, drifted, false_examples, generated, write_examples
from sithctl.commands.manual.pictures import write_experiments, write_pictures, write_planted


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sithctl.commands.manual")
    parser.add_argument("--check", action="store_true", help="fail on drift, write nothing")
    parser.add_argument("--examples", action="store_true", help="fail where one prints otherwise")
    parser.add_argument("--experiments", type=Path, help="write what `reproduce all -o` found")
    options = parser.parse_args()
    if options.experiments:
        write_experiments(options.experiments)
    elif options.examples:
        _fail("print something else", false_examples())
    elif options.check:
        _fail("out of date", [str(path.relative_to(ROOT)) for path in drifted()])
    else:
        _write()


def _fail(what: str, stale: list[str]) -> None:
    if stale:
        print(f"{what}: {', '.join(stale)}: run `make docs`", file=sys.stderr)
        raise SystemExit(1)


def _write() -> None:
    write_examples()
    for path, text in generated().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    write_pictures()
    write_planted()


if __name__ == "__main__":
    main()
