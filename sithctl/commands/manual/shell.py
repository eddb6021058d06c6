"""A small shell that runs command lines of the manual: pipes, quotes and wildcards.

Each ``sithctl`` is a fork of this process, in which what takes seconds to load is loaded already;
nothing has been computed in it yet, so that a fork has no other's threads to wait for.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

HEAVY = (
    "h5py",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.processing_auto",
    "transformers.models.clip.image_processing_clip",
    "transformers.models.clip.modeling_clip",
    "sithctl.models.transformers_encoder",
    "sithctl.stages.decompose",
)


def preload() -> None:
    for module in HEAVY:
        import_module(module)


def run(line: str, folder: Path) -> str:
    """What a terminal shows of a command line: standard output and error.

    Args:
        line: commands with pipes between them.
        folder: where they run.

    Raises:
        RuntimeError: one of them failed.
    """
    with tempfile.TemporaryFile() as shown:
        source = os.open(os.devnull, os.O_RDONLY)
        children = []
        stages = _stages(line, folder)
        for words in stages[:-1]:
            ahead, target = os.pipe()
            children.append(_start(words, folder, source, target, shown.fileno()))
            os.close(source)
            os.close(target)
            source = ahead
        children.append(_start(stages[-1], folder, source, shown.fileno(), shown.fileno()))
        os.close(source)
        failed = [os.waitpid(child, 0)[1] for child in children]
        shown.seek(0)
        text = shown.read().decode()
    if any(failed):
        raise RuntimeError(f"{line}: {text}")
    return text


def _stages(line: str, folder: Path) -> list[list[str]]:
    """The words of each command of a pipe; a wildcard stands for the names that it matches."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|")
    lexer.whitespace_split = True
    stages: list[list[str]] = [[]]
    for word in lexer:
        if word == "|":
            stages.append([])
        else:
            found = sorted(path.name for path in folder.glob(word)) if "*" in word else []
            stages[-1] += found or [word]
    return stages


def _start(words: list[str], folder: Path, source: int, target: int, errors: int) -> int:
    """Begin a command in a process of its own; its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.chdir(folder)
        for number, stream in enumerate((source, target, errors)):
            os.dup2(stream, number)
        code = _sithctl(words) if words[0] == "sithctl" else subprocess.run(words).returncode
    finally:
        os._exit(code)


def _sithctl(words: list[str]) -> int:
    """Run the program as a new process would."""
    from sithctl.commands.app import main

    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, closefd=False) for number, mode in enumerate("rww")
    )
    sys.argv = words
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 0
