"""How things show themselves: in a notebook by the terminal's own views, elsewhere in a line.

Views, pandas and what they need are imported when they are asked for: a kind knows of them no more
than where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import RenderableType

Columns = Mapping[str, Any]  # by name, as long as each other: lists or arrays


class Brief:
    """A dataclass told in a line: arrays by their shapes, lists by their lengths."""

    def __repr__(self) -> str:
        told = (f"{f.name}={brief(getattr(self, f.name))}" for f in fields(self) if f.repr)  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(told)})"


class Shown:
    """Something with a view, which Jupyter shows, and a table for pandas."""

    def _view(self, width: int) -> RenderableType:
        """The terminal's view of it, for so many columns."""
        from sithctl.views.glance import glance

        return glance(self, width)

    def _columns(self) -> Columns:
        """What ``to_pandas`` gives, by column."""
        from sithctl.views.frames import columns

        return columns(self)

    def _repr_html_(self) -> str:
        from sithctl.views.notebook import html

        return html(self)

    def to_pandas(self) -> DataFrame:
        """The same as a data frame.

        Raises:
            InputError: pandas is not installed.
        """
        from sithctl.views.frames import frame

        return frame(self._columns())


def brief(value: Any) -> str:
    """One value in a few words.

    >>> import numpy as np
    >>> brief(np.zeros((2, 3), np.float32)), brief({4: "…", 5: "…"}), brief(["red"] * 3)
    ('float32 (2, 3)', '{4, 5}', '3 × str')
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, value))}}}" if len(value) <= 8 else f"{len(value)} entries"
    if isinstance(value, list | tuple) and value:
        return f"{len(value)} × {type(value[0]).__name__}"
    return repr(value)


def number_of(count: int, noun: str) -> str:
    """A count with its noun.

    >>> number_of(1, "layer"), number_of(6809, "text")
    ('1 layer', '6,809 texts')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def numbered(noun: str, numbers: Iterable[int]) -> str:
    """Numbers as a selection spells them.

    >>> numbered("layer", [5]), numbered("layer", [0, 1, 2, 5])
    ('layer 5', 'layers 0-2,5')
    """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    if not runs:
        return f"no {noun}"
    spelled = ",".join(_run(run) for run in runs)
    return f"{noun} {spelled}" if len(runs) == len(runs[0]) == 1 else f"{noun}s {spelled}"


def _run(run: Sequence[int]) -> str:
    return str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"
