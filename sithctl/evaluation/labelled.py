"""Labelled pictures: which column is their label, which classes there are, which groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sithctl.errors import InputError
from sithctl.kinds import CaptionedImage, ClassNames
from sithctl.sources.columns import need_column

if TYPE_CHECKING:
    from sithctl.sources.images import Images

LABELS = ("label", "labels", "y", "class", "fine_label", "category", "target", "shape")
GROUPS = ("place",)  # of Waterbirds


@dataclass(frozen=True)
class Class:
    """One class: its label in the data, and its names, the first for people."""

    label: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Labelling:
    """How a source's pictures are labelled.

    Attributes:
        source: the data's name.
        label: the column of labels.
        groups: columns that, with the label, make groups.
        classes: None where only reading the pictures tells them.
        index: a class's number by every label that means it.
        named: where the classes are written.
    """

    source: str
    label: str
    groups: tuple[str, ...]
    classes: tuple[Class, ...] | None
    index: dict[str, int]
    named: str | None

    @classmethod
    def of(
        cls,
        images: Images,
        label: str | None = None,
        groups: Sequence[str] = (),
        names: ClassNames | None = None,
    ) -> Labelling:
        """How these pictures are labelled.

        Args:
            images: opened with attributes wanted.
            label: by default the first usual column that there is.
            groups: by default those that the source is made for.
            names: of a file; by default the labels themselves.

        Raises:
            InputError: no such column, or names that do not fit the labels.
        """
        columns = images.attributes
        chosen = label or next((name for name in LABELS if name in columns), None)
        todo = "name one with --label"
        if chosen is None:
            have = ", ".join(columns) or "none"
            raise InputError("there is no column of labels", images.name, f"{todo}: {have}")
        need_column(columns, chosen, images.name, todo)
        for group in groups:
            need_column(columns, group, images.name, "name others with --group")
        usual = [name for name in images.groups or GROUPS if name in columns and name != chosen]
        known = columns[chosen]
        classes, index = _classes(known, names)
        where = names.source if names else None
        return cls(images.name, chosen, tuple(groups or usual), classes, index, where)

    def check_values(self, images: Images) -> None:
        """Refuse labels and classes that do not fit, as far as that is known before reading: now,
        not after an hour of encoding."""
        there = images.values(self.label)
        if there is not None:
            self.read(sorted(there))

    def check(self, item: CaptionedImage) -> None:
        """Refuse a picture without a label or a group, or of no class."""
        known = item.factors or {}
        for column in (self.label, *self.groups):
            if column not in known:
                what = f"no {column} for the image {item.id}"
                raise InputError(what, self.source, "label every image, or leave it out")
        self._check_label(known[self.label], f" of the image {item.id}")

    def read(self, labels: Sequence[str]) -> tuple[tuple[Class, ...], list[int]]:
        """The classes, and the number of each label's.

        Raises:
            InputError: a class has no picture, there is but one, or labels are bare numbers.
        """
        classes, index = self.classes, self.index
        if classes is None:
            found = sorted(set(labels), key=_in_order)
            if all(map(_is_number, found)):
                todo = "name the classes in their order with --classes FILE, a class a line"
                raise InputError(f"the labels in {self.label} are numbers", self.source, todo)
            classes, index = _classes(tuple(found), None)
        for label in sorted(set(labels)):
            self._check_label(label)
        assert classes is not None
        truth = [index[label] for label in labels]
        self._check_filled(classes, set(truth))
        return classes, truth

    def _check_label(self, label: str, where: str = "") -> None:
        if self.classes is not None and label not in self.index:
            what = f"the label {label}{where} is none of the classes"
            raise InputError(what, self.named or self.source, "add it to --classes, or correct it")

    def _check_filled(self, classes: Sequence[Class], there: set[int]) -> None:
        """Refuse classes without pictures, and a single class."""
        empty = [c.names[0] for i, c in enumerate(classes) if i not in there]
        if empty:
            others = f" nor of {len(empty) - 1} others" if len(empty) > 1 else ""
            todo = "raise --limit, or name the classes that there are with --classes"
            raise InputError(f"no picture of the class {empty[0]}{others}", self.source, todo)
        if len(classes) < 2:
            what = f"all pictures are of one class, {classes[0].names[0]}"
            raise InputError(what, self.source, "give two classes or more")


def _classes(
    known: tuple[str, ...], names: ClassNames | None
) -> tuple[tuple[Class, ...] | None, dict[str, int]]:
    """Classes and the labels that mean them, of the labels that are known and the names given."""
    if names is None:
        plain = tuple(Class(label, (label.replace("_", " "),)) for label in known)
        return plain or None, {label: i for i, label in enumerate(known)}
    classes = tuple(Class(label, called) for label, called in names.names.items())
    index = {c.label: i for i, c in enumerate(classes)}
    if names.labelled or (known and set(index) <= set(known)):
        return classes, index
    if not known:  # a table's labels: names, or numbers from 0
        return classes, {**{str(i): i for i in range(len(classes))}, **index}
    if set(index) & set(known) or len(classes) != len(known):
        raise InputError(
            f"{len(classes)} classes for the labels {_some(known)}",
            names.source,
            "name every label, or write a label, a tab and its names on each line",
        )
    return classes, {label: i for i, label in enumerate(known)}


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")


def _is_number(label: str) -> bool:
    return label.lstrip("-").isdecimal()


def _in_order(label: str) -> tuple[bool, int, str]:
    """Numbers by their size, before names by the alphabet."""
    number = _is_number(label)
    return not number, int(label) if number else 0, label
