"""Man pages and completions from the command tree, and the README's picture and table from real
output: ``python -m sithctl.commands.manual``.

``--check`` writes nothing and fails when a page or a completion has drifted.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import typer
from typer import completion

from sithctl._version import __version__
from sithctl.commands.app import app
from sithctl.commands.registry import COMMANDS, Registry, load

ROOT = Path(__file__).parent.parent.parent
CURVES = ("fidelity", "spurious")  # shown in the README
SHELLS = {"bash": "sithctl.bash", "zsh": "_sithctl", "fish": "sithctl.fish"}
EXIT_CODES = {
    0: "done",
    1: "failure",
    2: "usage",
    3: "unreadable or incompatible input",
    4: "a check failed",
    130: "interrupted",
}
ENVIRONMENT = {
    "SITHCTL_MODEL": "the model where none is named; otherwise the bundled scenes.",
    "SITHCTL_CACHE": "where explain keeps the stages' results.",
    "OPENAI_API_KEY, OPENAI_BASE_URL": "the key and the address that judge asks with.",
    "NO_COLOR": "no colour.",
    "HF_HOME, HF_HUB_OFFLINE": "the Hugging Face libraries' own; honoured.",
}


def roff(text: str) -> str:
    """Text as roff takes it literally."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return re.sub(r"^\.", r"\\&.", escaped, flags=re.MULTILINE)


def _header(title: str, section: int) -> list[str]:
    return [f'.TH {title.upper()} {section} "" "sithctl {__version__}" "sithctl"']


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        flat = " ".join(block.split())
        if block.strip(" ").startswith("\b"):  # as it stands: a script
            lines += [".PP", ".nf", *map(roff, dedent(block.partition("\n")[2]).split("\n")), ".fi"]
        elif flat.startswith("Example: "):
            lines += [".SH EXAMPLE", ".nf", roff(flat.removeprefix("Example: ")), ".fi"]
        else:
            lines += [".PP", roff(flat)]
    return lines[1:] if lines[:1] == [".PP"] else lines


def _value(parameter: Any) -> str:
    """What an option takes: its choices, or the name of its type."""
    choices = getattr(parameter.type, "choices", None)
    if choices:
        return "|".join(str(getattr(choice, "value", choice)) for choice in choices)
    number = {"int": "N", "float": "X"}.get(parameter.type.name.strip("<>").split()[0])
    return number or parameter.name.upper()


def _names(parameter: Any) -> str:
    value = "" if parameter.is_flag else f" {_value(parameter)}"
    return ", ".join([*parameter.opts, *parameter.secondary_opts]) + value


def _options(command: Any, context: Any) -> list[str]:
    lines: list[str] = []
    for parameter in command.get_params(context):
        if parameter.param_type_name != "option" or parameter.hidden:
            continue
        default = parameter.get_default(context)
        shown = getattr(default, "value", default)
        tail = "" if shown in (None, False, True, "") or callable(shown) else f" Default: {shown}."
        lines += [".TP", f".B {roff(_names(parameter))}"]
        lines += [roff((parameter.help or "") + tail)]
    return lines


def _called(page: str) -> str:
    """``sithctl eval zero-shot``, of which ``sithctl-eval-zero-shot`` is the page."""
    words = page.split("-")
    group = 2 if words[1:2] == ["eval"] else 1
    return " ".join([*words[:group], "-".join(words[group:])]).strip()


def page(command: Any, name: str) -> str:
    """The man page of one command."""
    context = typer.Context(command, info_name=_called(name))
    usage = context.get_usage().split(":", 1)[1]
    text = command.help or ""
    short = " ".join(re.split(r"\n\s*\n", text.strip())[0].split()).rstrip(".")
    lines = [*_header(name, 1), ".SH NAME", f"{roff(name)} \\- {roff(short)}"]
    lines += [".SH SYNOPSIS", f".B {roff(' '.join(usage.split()))}", ".SH DESCRIPTION"]
    body = _paragraphs(text)
    at = body.index(".SH EXAMPLE") if ".SH EXAMPLE" in body else len(body)
    lines += body[:at]
    arguments = [p for p in command.get_params(context) if p.param_type_name == "argument"]
    for argument in arguments:
        lines += [".TP", f".I {roff(argument.name.upper())}", roff(argument.help or "")]
    lines += [".SH OPTIONS", *_options(command, context), *body[at:]]
    lines += [".SH SEE ALSO", ".BR sithctl (1)"]
    return "\n".join(lines) + "\n"


def overview(group: Any, name: str) -> str:
    """The page of the program itself, or of a group of its commands."""
    called = _called(name)
    context = typer.Context(group, info_name=called)
    text = " ".join((group.help or "").split()).rstrip(".")
    lines = [*_header(name, 1), ".SH NAME", f"{roff(name)} \\- {roff(text)}"]
    lines += [".SH SYNOPSIS", f".B {called}", ".I COMMAND", "[options]", ".SH COMMANDS"]
    for word, command in _below(group).items():
        short = " ".join(re.split(r"\n\s*\n", command.help.strip())[0].split())
        lines += [".TP", f".BR {roff(f'{name}-{word}')} (1)", roff(short)]
    if name != "sithctl":
        return "\n".join([*lines, ".SH SEE ALSO", ".BR sithctl (1)"]) + "\n"
    lines += [".SH OPTIONS", *_options(group, context), ".SH EXIT STATUS"]
    for code, meaning in EXIT_CODES.items():
        lines += [".TP", f".B {code}", roff(meaning)]
    lines += [".SH ENVIRONMENT"]
    for variable, meaning in ENVIRONMENT.items():
        lines += [".TP", f".B {roff(variable)}", roff(meaning)]
    lines += [".SH EXAMPLE", ".nf"]
    lines += [roff("sithctl fold scenes | sithctl svd | sithctl decompose | sithctl explain")]
    return "\n".join([*lines, ".fi"]) + "\n"


def pages(command: Any, name: str) -> Iterator[tuple[str, str]]:
    """The names and texts of a command's page and of those below it."""
    below = _below(command)
    if not below:
        yield name, page(command, name)
        return
    yield name, overview(command, name)
    for word, one in below.items():
        yield from pages(one, f"{name}-{word}")


def _below(command: Any) -> dict[str, Any]:
    """The commands of a group, whole, by name; of the program, in the registry's order."""
    if isinstance(command, Registry):
        return {name: load(name) for name in COMMANDS}
    return dict(getattr(command, "commands", {}))


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    group: Any = typer.main.get_command(app)
    files = {ROOT / "man" / f"{name}.1": text for name, text in pages(group, "sithctl")}
    for shell, file in SHELLS.items():
        script = completion.get_completion_script(  # type: ignore[attr-defined]
            prog_name="sithctl", complete_var="_SITHCTL_COMPLETE", shell=shell
        )
        files[ROOT / "completions" / file] = script.rstrip() + "\n"
    return files


def drifted() -> list[Path]:
    """Generated files whose text on disk is not what would be written."""
    return [p for p, text in generated().items() if not p.exists() or p.read_text() != text]


def write_picture() -> None:
    """The README's picture: what `sithctl explain --layer 5 --head 0` really shows."""
    from io import StringIO

    from rich.console import Console

    from sithctl.commands.chain import Chain
    from sithctl.stages.explain import explain
    from sithctl.stages.options import Options
    from sithctl.views.terminal import tables

    (codes,) = Chain("scenes", None, None, Options()).codes("5")
    rows = explain(codes, head="0", top=3)
    console = Console(record=True, width=100, file=StringIO(), highlight=False)
    console.print(tables(rows, "scenes", 100))
    picture = ROOT / "man" / "pictures" / "explain.svg"
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(
        console.export_svg(title="sithctl explain --layer 5 --head 0 --top 3", unique_id="sithctl")
    )


def write_experiments(folder: Path) -> None:
    """The README's table of experiments and its curves, from what ``sithctl reproduce all -o
    FOLDER`` wrote."""
    import json

    from sithctl.evaluation.summary import LINES, as_markdown

    files = {name: folder / f"{name}.json" for name in LINES}
    _between("experiments", as_markdown({n: json.loads(f.read_text()) for n, f in files.items()}))
    for name in CURVES:
        (ROOT / "man" / "pictures" / f"{name}.svg").write_text((folder / f"{name}.svg").read_text())


def _between(mark: str, text: str) -> None:
    """Put a text between two marks of the README."""
    readme = ROOT / "README.md"
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, rest = readme.read_text().split(start)
    readme.write_text(before + start + text + end + rest.split(end)[1])


def write_planted() -> None:
    """The README's table of planted truth."""
    from sithctl.commands.chain import bundled_pool
    from sithctl.scenes.planted import as_markdown, measure
    from sithctl.stages.fold import fold
    from sithctl.stages.svd import svd

    _between("planted", as_markdown(measure(svd(fold("scenes")), bundled_pool())))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sithctl.commands.manual")
    parser.add_argument("--check", action="store_true", help="fail on drift, write nothing")
    parser.add_argument("--experiments", type=Path, help="write what `reproduce all -o` found")
    options = parser.parse_args()
    if options.experiments:
        write_experiments(options.experiments)
        return
    if options.check:
        stale = [str(path.relative_to(ROOT)) for path in drifted()]
        if stale:
            print(f"out of date: {', '.join(stale)}: run `make docs`", file=sys.stderr)
            raise SystemExit(1)
        return
    for path, text in generated().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    write_picture()
    write_planted()


if __name__ == "__main__":
    main()
