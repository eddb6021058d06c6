"""The bundled model explained, made once for the modules that measure explanations."""

from __future__ import annotations

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
def few() -> Codes:
    """The first vectors of two layers: what is quick to explain again."""
    return decompose(spectra(), pool(), layers="4-5", options=Options(rank=3))


def saved(folder: Path) -> Path:
    """``spectra``, ``pool`` and ``few`` codes as files in a folder."""
    save(spectra(), folder / "spectra")
    save(pool(), folder / "pool")
    save(few(), folder / "codes")
    return folder
