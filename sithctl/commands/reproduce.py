"""``sithctl reproduce``: the paper's experiments, by our own commands."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from sithctl.commands.common import command
from sithctl.commands.evaluation.showing import Format, FormatOpt
from sithctl.commands.options import ForceOpt
from sithctl.errors import CheckFailed, InputError, SithctlError

if TYPE_CHECKING:
    from sithctl.evaluation.reproduction import Reproduction
    from sithctl.kinds import Codes


INTERRUPTED = 130  # what a command of ours ends with when it is


class Experiment(StrEnum):
    fidelity = "fidelity"
    pool_size = "pool-size"
    grounding = "grounding"
    spurious = "spurious"
    unsafe = "unsafe"
    classification = "classification"
    adaptation = "adaptation"
    reconstruction = "reconstruction"
    all = "all"


NameArg = Annotated[
    Experiment,
    typer.Argument(
        metavar="NAME",
        help="Which; all of them take ten minutes.",
    ),
]
SeedOpt = Annotated[
    int, typer.Option("--seed", min=0, max=999_999, help="Of the pictures: another draws others.")
]
FolderOpt = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="A folder for each experiment's JSON and SVG."),
]
WorkOpt = Annotated[
    Path | None, typer.Option("--work", help="A folder to work in and keep; else a temporary one.")
]
ShortOpt = Annotated[
    bool, typer.Option("--short", help="Fewer pictures and controls: a quick look.")
]


@command
def reproduce(
    name: NameArg,
    seed: SeedOpt = 0,
    short: ShortOpt = False,
    work: WorkOpt = None,
    format: FormatOpt = Format.table,  # noqa: A002 (the option's name)
    output: FolderOpt = None,
    force: ForceOpt = False,
) -> None:
    """Do an experiment of the paper on the bundled model, beside its figures and with controls.

    Each is a chain of sithctl's own commands, told as they run and listed in the result: put
    another model's name in them. What must hold is checked, and what does not ends with 4.

    Example: sithctl reproduce grounding --short --quiet
    """
    from sithctl.evaluation.experiments import EXPERIMENTS
    from sithctl.evaluation.experiments import reproduce as experiment
    from sithctl.evaluation.lab import Lab

    chosen = tuple(EXPERIMENTS) if name is Experiment.all else (name.value,)
    if work is not None:
        _check_work(work, force)
    if output is not None:
        _check_results(output, chosen, force)
    found: list[Reproduction] = []
    with nullcontext(work) if work else TemporaryDirectory(prefix="sithctl-") as place:
        folder = Path(place).absolute()
        lab = Lab(folder, lambda words: _call(words, folder, force), _read, seed, short)
        for one in chosen:
            found.append(experiment(one, lab))
            if output is not None:
                _save(found[-1], output)
            if format is not Format.json:
                _show(found[-1], format)
    if format is Format.json:
        _print_json(found)
    failed = [f"{r.experiment}: {what}" for r in found for what in r.failed]
    if failed:
        raise CheckFailed("does not hold", "; ".join(failed), "see the claims above")


def _read(path: Path) -> Codes:
    from sithctl.artifacts import load
    from sithctl.kinds import Codes

    return load(path, Codes)


def _check_work(folder: Path, force: bool) -> None:
    """Refuse a folder with files in it: commands that run there would stop at them, or not."""
    _make(folder)
    if not force and any(folder.iterdir()):
        todo = "take an empty one, or --force to overwrite what is in it"
        raise InputError("the folder to work in is not empty", folder, todo)


def _check_results(folder: Path, names: Sequence[str], force: bool) -> None:
    from sithctl.evaluation.experiments import EXPERIMENTS

    figures = [f"{figure}.svg" for name in names for figure in EXPERIMENTS[name]]
    files = [*(f"{name}.json" for name in names), *figures]
    taken = [folder / file for file in files if (folder / file).exists()]
    if taken and not force:
        todo = "take another folder, or --force to overwrite"
        raise InputError("the output exists", taken[0], todo)
    _make(folder)


def _make(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError("not a folder", folder, "name another")
    folder.mkdir(parents=True, exist_ok=True)


def _call(words: Sequence[str], folder: Path, force: bool) -> str:
    """Run a command of ours in a folder, and tell it; what it prints."""
    from shlex import join

    from sithctl.views.console import output

    output.told(join(words))
    quiet, debug = output.quiet, output.debug
    caught = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    try:
        with _inside(folder), redirect_stdout(caught):
            code = _ours([*words, "--force"] if force and "-o" in words else words)
            caught.flush()
    finally:
        output.quiet, output.debug = quiet, debug
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise SithctlError(f"a command failed ({code})", join(words))
    text: bytes = caught.buffer.getvalue()
    return text.decode()


def _ours(words: Sequence[str]) -> int:
    """``sithctl …``, or ``python -m sithctl.… …``; its exit code."""
    from importlib import import_module

    from sithctl.commands.app import app

    if words[0] == "sithctl":
        return app([*words[1:], "--quiet"], standalone_mode=False, prog_name="sithctl") or 0
    import_module(words[2]).main(words[3:])
    return 0


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _show(found: Reproduction, format: Format) -> None:  # noqa: A002
    from sithctl.views import evaluation as view
    from sithctl.views.console import output

    if format is Format.markdown:
        output.text(view.as_markdown(found.shown()))
    else:
        output.table(view.tables(found.shown(), output.width))


def _print_json(found: Sequence[Reproduction]) -> None:
    from sithctl.views.console import output
    from sithctl.views.evaluation import finite

    documents = [finite(r.document()) for r in found]
    whole = documents[0] if len(documents) == 1 else documents
    output.text(json.dumps(whole, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    sys.stdout.flush()


def _save(found: Reproduction, folder: Path) -> None:
    from sithctl.artifacts.streams import writable
    from sithctl.views.evaluation import finite
    from sithctl.views.figures import as_svg

    texts = {f"{found.experiment}.json": json.dumps(finite(found.document()), indent=2) + "\n"}
    texts |= {f"{chart.key}.svg": as_svg(chart) for chart in found.charts}
    for name, text in texts.items():
        with writable(folder / name) as path:
            path.write_text(text, encoding="utf-8")
