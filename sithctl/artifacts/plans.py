"""Plans as text that a person reads and edits: CSV or TOML."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sithctl.artifacts.marks import mark_line, split
from sithctl.artifacts.streams import readable, writable
from sithctl.errors import InputError
from sithctl.kinds import Change, Identity, Plan

COLUMNS = ("layer", "head", "sv", "scale", "why")
MARK = "# sithctl plan "


def write_plan(plan: Plan, target: str | Path) -> None:
    """Write a plan: TOML to ``.toml``, else CSV with a leading line that names the model."""
    with writable(target) as path:
        path.write_bytes(_bytes_of(plan, target))


def lies_there(plan: Plan, target: str | Path) -> bool:
    """Whether a file is, byte for byte, what ``write_plan`` would make of it."""
    path = Path(target)
    return path.is_file() and path.read_bytes() == _bytes_of(plan, target)


def _bytes_of(plan: Plan, target: str | Path) -> bytes:
    as_text = _as_toml if str(target).endswith(".toml") else plan_text
    return as_text(plan).encode()


def read_plan(source: str | Path) -> Plan:
    """Read a plan; without the model's line its ``model`` is None.

    Raises:
        InputError: it is missing, no CSV or TOML with the columns of a plan, or holds a value that
            is no number.
    """
    with readable(source) as path:
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8 text", source, "save it as UTF-8") from error
    rows, model = _of_toml(text, source) if str(source).endswith(".toml") else _of_csv(text, source)
    changes = [_change(row, number, source) for number, row in rows]
    if not changes:
        raise InputError("a plan without rows", source, f"expected columns {','.join(COLUMNS)}")
    seen: set[tuple[int, int, int]] = set()
    for change in changes:
        if change.place in seen:
            where = ".".join(map(str, change.place))
            raise InputError(f"vector {where} stands there twice", source, "keep one row for it")
        seen.add(change.place)
    return Plan.of(changes, model)


def plan_text(plan: Plan) -> str:
    """A plan as CSV."""
    buffer = io.StringIO()
    buffer.write(mark_line(MARK, plan.model))
    buffer.write(",".join(COLUMNS) + "\n")
    for change in plan.changes:
        scale = repr(float(change.scale)).removesuffix(".0")
        cells = [*map(str, change.place), scale, _cell(change.why)]
        buffer.write(",".join(cells) + "\n")
    return buffer.getvalue()


def _cell(text: str) -> str:
    """Quoted where it has to be: csv's writer forgets a lone carriage return."""
    if set(text) & set(',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _as_toml(plan: Plan) -> str:
    lines = []
    if plan.model is not None:
        lines.append("[model]")
        named = {"name": plan.model.name, "space": plan.model.space}
        lines += [f"{key} = {_quoted(text)}" for key, text in named.items() if text is not None]
        lines += ["", "[model.layers]"]
        lines += [f"{layer} = {_quoted(d)}" for layer, d in sorted(plan.model.layers.items())]
        lines.append("")
    for change in plan.changes:
        row = {**asdict(change), "scale": float(change.scale)}
        lines += ["[[change]]", *(f"{n} = {row[n]}" for n in ("layer", "head", "sv", "scale"))]
        lines += [f"why = {_quoted(change.why)}", ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """A basic string: JSON's is one, but for a character that TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


Rows = Iterable[tuple[int, Mapping[str, Any]]]


def _of_csv(text: str, source: str | Path) -> tuple[Rows, Identity | None]:
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise InputError(f"not CSV ({error})", source, "quote cells that hold a quote") from error
    others, model = split(MARK, lines, source)
    rows = [line for line in others if any(line) and not line[0].startswith("#")]
    header = [name.strip() for name in rows[0]] if rows else []
    missing = [name for name in COLUMNS[:4] if name not in header]
    if missing:
        raise InputError(f"no column {missing[0]}", source, f"expected columns {','.join(COLUMNS)}")
    found = [dict(zip(header, row, strict=False)) for row in rows[1:]]
    return list(enumerate(found, 1)), model


def _of_toml(text: str, source: str | Path) -> tuple[Rows, Identity | None]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not TOML ({error})", source, "expected [[change]] tables") from error
    rows = document.get("change", [])
    model = document.get("model")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError("no [[change]] tables", source, f"each with {', '.join(COLUMNS)}")
    try:
        identity = None if model is None else Identity.parse(model)
    except (AttributeError, ValueError) as error:
        raise InputError("the [model] table is damaged", source, "copy the plan again") from error
    return list(enumerate(rows, 1)), identity


def _change(row: Mapping[str, Any], number: int, source: str | Path) -> Change:
    try:
        layer, head, sv = (_whole(row[name]) for name in COLUMNS[:3])
        if isinstance(row["scale"], bool):
            raise TypeError("scale")
        scale = float(row["scale"])
    except (KeyError, TypeError, ValueError) as error:
        shown = ", ".join(f"{name} {row.get(name)!r}" for name in COLUMNS[:4])
        raise InputError(
            f"row {number} is no change ({shown})", source, "layer, head, sv, scale are numbers"
        ) from error
    return Change(layer, head, sv, scale, str(row.get("why") or ""))


def _whole(value: Any) -> int:
    """A whole number of TOML's, or a cell's text; nothing is rounded to one."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return int(value)
    raise TypeError(value)
