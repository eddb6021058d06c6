"""A file of classes: what the labels of a data set are called in prompts."""

from __future__ import annotations

from pathlib import Path

from sithctl.errors import InputError
from sithctl.kinds import ClassNames
from sithctl.sources.concepts import plain, read_text

TODO = "write a class a line: its names, or its label, a tab and its names with commas between them"


def read_classes(source: str | Path) -> ClassNames:
    """The classes of a file, one a line.

    A line is a label, a tab and the class's names with commas between them; or, in a file without
    any tab, the one name of a class. Such names are labels themselves, or stand in the order of
    numbered labels.

    Raises:
        InputError: the file is missing or empty, names a class twice, or a line has no name.
    """
    lines = [line for line in read_text(source).splitlines() if line.strip()]
    if not lines:
        raise InputError("no classes: the file is empty", source, TODO)
    tabs = ["\t" in line for line in lines]
    if any(tabs) and not all(tabs):
        what = f"the class {plain(lines[tabs.index(False)])!r} has no tab where others have one"
        raise InputError(what, source, TODO)
    classes: dict[str, tuple[str, ...]] = {}
    for line in lines:
        label, tab, rest = line.partition("\t")
        names = rest.split(",") if tab else [label]
        label = plain(label)
        if label in classes:
            raise InputError(f"the class {label} stands there twice", source, "leave one out")
        classes[label] = tuple(dict.fromkeys(filter(None, map(plain, names))))
        if not label or not classes[label]:
            raise InputError(f"a class without a name or a label: {line!r}", source, TODO)
    return ClassNames(classes, labelled=all(tabs), source=str(source))
