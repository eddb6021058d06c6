"""What data frames are made of: columns, a row the smallest thing that a kind tells apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from sithctl.errors import InputError
from sithctl.kinds import (
    Array,
    Change,
    Codes,
    Delta,
    Explanations,
    Heads,
    Matches,
    Mean,
    Plan,
    Pool,
    Spectra,
)
from sithctl.kinds.shown import Columns
from sithctl.stages.explain import explain
from sithctl.stages.judge import Judgement
from sithctl.stages.summary import energies
from sithctl.views import found as search
from sithctl.views import records

if TYPE_CHECKING:
    from pandas import DataFrame


def frame(columns: Columns) -> DataFrame:
    """Columns as a data frame.

    Raises:
        InputError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        todo = "pip install pandas"
        raise InputError("data frames need pandas, which is not installed", None, todo) from error
    return pandas.DataFrame(columns)


@singledispatch
def columns(thing: Any) -> Columns:
    """By name, every column of a thing's table."""
    raise TypeError(type(thing).__name__)


@columns.register
def _(explanations: Explanations) -> Columns:
    """A row a concept, as in CSV."""
    return of_rows(*records.flat(explanations))


@columns.register
def _(matches: Matches) -> Columns:
    """A row a match, as in CSV."""
    return of_rows(*search.flat(matches))


@columns.register
def _(codes: Codes) -> Columns:
    return columns(explain(codes))


@columns.register
def _(heads: Heads) -> Columns:
    """A row a head: the Frobenius norm of its value-output matrix."""
    places = [(layer, h) for layer in heads.layers for h in range(len(heads.layers[layer].value))]
    norms = np.sqrt(np.concatenate(list(energies(heads).values())))
    return {**of_rows(("layer", "head"), places), "norm": norms}


@columns.register
def _(spectra: Spectra) -> Columns:
    """A row a singular value; its energy is σ² as a share of the head's."""
    parts = []
    for layer, spectrum in spectra.layers.items():
        sigma = spectrum.singular_values
        head, sv = np.indices(sigma.shape)
        squares = np.square(sigma, dtype=np.float64)
        share = squares / np.maximum(squares.sum(-1, keepdims=True), np.finfo(np.float64).tiny)
        parts.append([np.full(sigma.size, layer), *(a.ravel() for a in (head, sv, sigma, share))])
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return dict(zip(("layer", "head", "sv", "singular_value", "energy"), joined, strict=True))


@columns.register
def _(pool: Pool) -> Columns:
    """A row a concept, with the norm of its embedding and a column for every factor that is known;
    the embeddings themselves are ``pool.embeddings``, row by row."""
    norms: Array = np.linalg.norm(pool.embeddings.astype(np.float32), axis=-1)
    beside = {"image": pool.sources, "detail": pool.detail_captions}
    found: dict[str, Any] = {"concept": pool.concepts, "norm": norms}
    found |= {name: texts for name, texts in beside.items() if texts is not None}
    return found | of_records(pool.factors or [])


@columns.register
def _(mean: Mean) -> Columns:
    return {"feature": np.arange(len(mean.sum)), "mean": mean.mean}


@columns.register
def _(plan: Plan) -> Columns:
    names = ("layer", "head", "sv", "scale", "why")
    return of_rows(names, [tuple(asdict(change).values()) for change in plan.changes])


@columns.register
def _(delta: Delta) -> Columns:
    return columns(Plan.of(Change(**row) for row in delta.plan))


@columns.register
def _(judgement: Judgement) -> Columns:
    names = ("layer", "head", "sv", "pole", "score", "concepts", "why")
    return of_rows(names, [tuple(asdict(score).values()) for score in judgement.scores])


def of_rows(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def of_records(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Records that may hold others, and need not all hold the same.

    >>> of_records([{"k": 1, "share": {"mean": 0.5}}, {"k": 2}])
    {'k': [1, 2], 'share.mean': [0.5, None]}
    """
    rows = [_level(record) for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _level(record: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in record.items():
        nested = isinstance(value, Mapping)
        found |= _level(value, f"{before}{name}.") if nested else {f"{before}{name}": value}
    return found
