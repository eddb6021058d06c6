"""The man pages of the program and its commands, from the command tree and its docstrings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from sithctl.commands.manual.examples import shown
from sithctl.commands.manual.roff import (
    blocks,
    flat,
    flush,
    header,
    indented,
    item,
    name,
    roff,
    see_also,
)
from sithctl.commands.registry import COMMANDS, Registry, load

EXAMPLE = "Example: "
WHOLE = "sithctl fold | sithctl svd | sithctl decompose | sithctl explain --layer 5"
EXIT_CODES = {
    0: "done",
    1: "failure",
    2: "usage",
    3: "unreadable or incompatible input, or an output that exists",
    4: "a check failed",
    130: "interrupted",
    141: "the reader of its output has closed",
}
ENVIRONMENT = {
    "SITHCTL_MODEL": "the model where none is named; otherwise the bundled scenes.",
    "SITHCTL_CACHE": "where explain keeps the stages' results.",
    "OPENAI_API_KEY, OPENAI_BASE_URL": "the key and the address that judge asks with.",
    "NO_COLOR": "no colour.",
    "HF_HOME, HF_HUB_OFFLINE": "the Hugging Face libraries' own; honoured.",
}
BESIDE = ("sithctl-files(5)", "sithctl-method(7)", "sithctl-performance(7)")


def pages(command: Any, title: str) -> Iterator[tuple[str, str]]:
    """The names and texts of a command's page and of those below it."""
    below = _below(command)
    if not below:
        yield title, page(command, title)
        return
    yield title, overview(command, title)
    for word, one in below.items():
        yield from pages(one, f"{title}-{word}")


def page(command: Any, title: str) -> str:
    """The man page of one command."""
    context = typer.Context(command, info_name=called(title))
    usage = flat(context.get_usage().split(":", 1)[1])
    text = command.help or ""
    lines = [*header(title, 1), *name(title, blocks(text)[0])]
    lines += [".SH SYNOPSIS", f".B {roff(usage)}", ".SH DESCRIPTION", *_described(text)]
    arguments = [p for p in command.get_params(context) if p.param_type_name == "argument"]
    for argument in arguments:
        lines += item(argument.name.upper(), argument.help or "", "I")
    lines += [".SH OPTIONS", *_options(command, context), *_example(title, examples_in(text))]
    return "\n".join([*lines, *see_also("sithctl(1)", *BESIDE[:2])]) + "\n"


def overview(group: Any, title: str) -> str:
    """The page of the program itself, or of a group of its commands."""
    context = typer.Context(group, info_name=called(title))
    lines = [*header(title, 1), *name(title, group.help or "")]
    lines += [".SH SYNOPSIS", f".B {called(title)}", ".I COMMAND", "[options]", ".SH COMMANDS"]
    for word, command in _below(group).items():
        lines += [".TP", f".BR {roff(f'{title}-{word}')} (1)", roff(flat(blocks(command.help)[0]))]
    if title != "sithctl":
        return "\n".join([*lines, *see_also("sithctl(1)", *BESIDE)]) + "\n"
    lines += [".SH OPTIONS", *_options(group, context), ".SH EXIT STATUS"]
    for code, meaning in EXIT_CODES.items():
        lines += item(str(code), meaning)
    lines += [".SH ENVIRONMENT"]
    for variable, meaning in ENVIRONMENT.items():
        lines += item(variable, meaning)
    lines += _example(title, [WHOLE])
    return "\n".join([*lines, *see_also(*BESIDE)]) + "\n"


def called(title: str) -> str:
    """``sithctl eval zero-shot``, of which ``sithctl-eval-zero-shot`` is the page."""
    words = title.split("-")
    group = 2 if words[1:2] == ["eval"] else 1
    return " ".join([*words[:group], "-".join(words[group:])]).strip()


def examples_in(text: str) -> list[str]:
    """The examples of a command's help."""
    return [b.removeprefix(EXAMPLE) for b in map(flat, blocks(text)) if b.startswith(EXAMPLE)]


def examples(command: Any, title: str) -> Iterator[tuple[str, list[str]]]:
    """The examples of a command's page and of those below it, in the order of the manual."""
    below = _below(command)
    if not below:
        yield title, examples_in(command.help or "")
    elif title == "sithctl":
        yield title, [WHOLE]
    for word, one in below.items():
        yield from examples(one, f"{title}-{word}")


def _below(command: Any) -> dict[str, Any]:
    """The commands of a group, whole, by name; of the program, in the registry's order."""
    if isinstance(command, Registry):
        return {word: load(word) for word in COMMANDS}
    return dict(getattr(command, "commands", {}))


def _described(text: str) -> list[str]:
    lines: list[str] = []
    for block in blocks(text):
        if block.strip(" ").startswith("\b"):  # as it stands: a script
            lines += [".PP", *indented(block.partition("\n")[2])]
        elif not flat(block).startswith(EXAMPLE):
            lines += [".PP", roff(flat(block))]
    return lines[1:]


def _example(title: str, commands: list[str]) -> list[str]:
    return [".SH EXAMPLE", *flush(shown(title, commands))] if commands else []


def _options(command: Any, context: Any) -> list[str]:
    lines: list[str] = []
    for parameter in command.get_params(context):
        if parameter.param_type_name != "option" or parameter.hidden:
            continue
        default = parameter.get_default(context)
        shown = getattr(default, "value", default)
        tail = "" if shown in (None, False, True, "") or callable(shown) else f" Default: {shown}."
        lines += item(_names(parameter), (parameter.help or "") + tail)
    return lines


def _names(parameter: Any) -> str:
    value = "" if parameter.is_flag else f" {_value(parameter)}"
    return ", ".join([*parameter.opts, *parameter.secondary_opts]) + value


def _value(parameter: Any) -> str:
    """What an option takes: its choices, or the name of its type."""
    choices = getattr(parameter.type, "choices", None)
    if choices:
        return "|".join(str(getattr(choice, "value", choice)) for choice in choices)
    number = {"int": "N", "float": "X"}.get(parameter.type.name.strip("<>").split()[0])
    return number or parameter.name.upper()
