"""What files hold, from the kinds themselves: names and types of a sample that has everything that
a kind may have, meanings and shapes from its docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from typing import Any

import numpy as np

from sithctl.kinds import (
    KINDS,
    Artefact,
    Blobs,
    Codes,
    Column,
    Concepts,
    Delta,
    HeadFactors,
    Heads,
    Identity,
    LayerCodes,
    LayerSpectra,
    Mean,
    Pool,
    Readout,
    Spectra,
    Step,
)

# Whose docstrings tell what the columns below a prefix are; all others the kind's own.
TELLING: dict[tuple[str, str], type] = {
    ("heads", "layers"): HeadFactors,
    ("spectra", "layers"): LayerSpectra,
    ("codes", "layers"): LayerCodes,
    ("codes", "concepts"): Concepts,
}
ALSO_CALLED = {"details": "detail_captions"}
TENSOR = "TENSOR"  # stands for the name of one of the checkpoint's


def attributes(cls: type) -> dict[str, str]:
    """What the docstring of a class says of each attribute."""
    section = cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^    ([\w, ]+): (.*(?:\n {8}.*)*)", section, flags=re.MULTILINE)
    told = {name: text for names, text in entries for name in names.split(", ")}
    told |= {n: p.__doc__ for n, p in vars(cls).items() if isinstance(p, property) and p.__doc__}
    return {name: " ".join(text.split()) for name, text in told.items()}


def columns(kind: str) -> Iterator[tuple[str, str, str]]:
    """Name, type, and shape with meaning of every column that a file of a kind may have; L stands
    for the layer. The read-out's are not among them."""
    for name, column in samples()[kind].arrays().items():
        if name.startswith("readout"):
            continue
        parts = re.split(r"[./]", name.removesuffix(f"/{TENSOR}"))
        told, stem = attributes(TELLING.get((kind, parts[0]), KINDS[kind])), parts[-1]
        sort = "the checkpoint's own type" if name.endswith(TENSOR) else type_of(column)
        yield re.sub(r"\b0\b", "L", name), sort, told[ALSO_CALLED.get(stem, stem)]


def entries(kind: str) -> list[str]:
    """What a kind's JSON document has beside what all have."""
    return list(samples()[kind].details())


def type_of(column: Column) -> str:
    if isinstance(column, Blobs):
        return "bytes"
    if isinstance(column, list):
        return "JSON" if str(column[0]).startswith("{") else "UTF-8"
    return str(column.dtype)


def samples() -> Mapping[str, Artefact]:
    """One of each kind, of nothing: one layer, 0, and every column that there can be."""
    nobody = Identity("", "", {0: ""})
    three = np.zeros((1, 1, 1), np.float32)
    two, one = three[0], three[0, 0]
    readout = Readout((Step("linear", {"weight": two}),))
    explained = _layer_codes(three, two)
    used = Concepts(np.zeros(1, np.int64), [""], two, [{}], [""], [""], Blobs([b""]))
    factors, spectrum = HeadFactors(three, three, two), LayerSpectra(three, two, three)
    made = (
        Heads(nobody, (), {}, {0: factors}, readout),
        Spectra(nobody, (), {}, {0: spectrum}, readout),
        Pool(nobody, (), two, [""], [{}], "image", [""], [""], Blobs([b""])),
        Mean(nobody, (), np.zeros(1), 1),
        Codes(nobody, (), {}, {}, {0: explained}, used, one, one, readout),
        Delta(nobody, (), [], {}, {TENSOR: one}, {TENSOR: one}),
    )
    return {kind: next(one for one in made if one.kind == kind) for kind in KINDS}


def _layer_codes(three: Any, two: Any) -> LayerCodes:
    """Of one vector, graded."""
    four, grade = three[None], np.ones((1, 1, 1), np.int8)
    close = np.zeros((1, 1), bool)
    reasons = np.zeros((1, 1, 1), np.uint8)
    return LayerCodes(four.astype(np.int64), four, two, two, close, four, grade, reasons)
