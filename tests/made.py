"""The bundled model explained, made once for the modules that measure explanations."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from sithctl.artifacts import save
from sithctl.commands.chain import bundled_pool
from sithctl.kinds import Codes, Pool, Spectra
from sithctl.stages.decompose import decompose
from sithctl.stages.fold import fold
from sithctl.stages.options import Options
from sithctl.stages.svd import svd

LAYERS = "-3-"


@cache
def spectra() -> Spectra:
    return svd(fold("scenes"))


@cache
def pool() -> Pool:
    return bundled_pool()


@cache
def codes(**options: object) -> Codes:
    return decompose(spectra(), pool(), layers=LAYERS, options=Options(**options))  # type: ignore[arg-type]


@cache
def little_pool() -> Pool:
    """Every sixth phrase."""
    whole = pool()
    assert whole.factors is not None
    return replace(
        whole,
        embeddings=whole.embeddings[::6].copy(),
        concepts=whole.concepts[::6],
        factors=whole.factors[::6],
    )


@cache
def few() -> Codes:
    """The first vectors of two layers by a part of the pool: what is quick to explain again."""
    return decompose(spectra(), little_pool(), layers="4-5", options=Options(rank=3))


def saved(folder: Path) -> Path:
    """``spectra``, ``little_pool`` and ``few`` codes as files in a folder."""
    save(spectra(), folder / "spectra")
    save(little_pool(), folder / "pool")
    save(few(), folder / "codes")
    return folder
