"""Read what the attention heads of a Vision Transformer mean from its weights alone, and edit them.

One function a stage, loaded when first used; ``load`` and ``save`` for the files between them::

    from sithctl import decompose, encode_pool, explain, fold, svd

    codes = decompose(svd(fold("scenes")), encode_pool(["crimson", "striped thing", …]))
    for explanation in explain(codes, layer="5", head="2", top=3):
        print(explanation.pole, [c.concept for c in explanation.concepts])

What they give shows itself in Jupyter by the terminal's own views, in a line elsewhere, and as a
data frame by ``to_pandas()``.
"""

from typing import TYPE_CHECKING, Any

from sithctl._version import __version__

if TYPE_CHECKING:
    from sithctl.artifacts.files import load, save
    from sithctl.evaluation.results import Evaluation
    from sithctl.evaluation.tasks import evaluate
    from sithctl.kinds import (
        Change,
        Codes,
        Delta,
        Explanation,
        Explanations,
        Heads,
        Match,
        Matches,
        Mean,
        Plan,
        Pool,
        Spectra,
    )
    from sithctl.stages.decompose import decompose
    from sithctl.stages.edit import Edit, edit
    from sithctl.stages.explain import explain
    from sithctl.stages.find import find
    from sithctl.stages.fold import fold
    from sithctl.stages.judge import Judgement, judge
    from sithctl.stages.mean import mean
    from sithctl.stages.options import Options
    from sithctl.stages.pool import encode_pool
    from sithctl.stages.svd import svd

_HOMES = {
    "sithctl.artifacts.files": ("load", "save"),
    "sithctl.evaluation.results": ("Evaluation",),
    "sithctl.evaluation.tasks": ("evaluate",),
    "sithctl.kinds": (
        "Change",
        "Codes",
        "Delta",
        "Explanation",
        "Explanations",
        "Heads",
        "Match",
        "Matches",
        "Mean",
        "Plan",
        "Pool",
        "Spectra",
    ),
    "sithctl.stages.decompose": ("decompose",),
    "sithctl.stages.edit": ("Edit", "edit"),
    "sithctl.stages.explain": ("explain",),
    "sithctl.stages.find": ("find",),
    "sithctl.stages.fold": ("fold",),
    "sithctl.stages.judge": ("Judgement", "judge"),
    "sithctl.stages.mean": ("mean",),
    "sithctl.stages.options": ("Options",),
    "sithctl.stages.pool": ("encode_pool",),
    "sithctl.stages.svd": ("svd",),
}
_WHERE = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Change",
    "Codes",
    "Delta",
    "Edit",
    "Evaluation",
    "Explanation",
    "Explanations",
    "Heads",
    "Judgement",
    "Match",
    "Matches",
    "Mean",
    "Options",
    "Plan",
    "Pool",
    "Spectra",
    "__version__",
    "decompose",
    "edit",
    "encode_pool",
    "evaluate",
    "explain",
    "find",
    "fold",
    "judge",
    "load",
    "mean",
    "save",
    "svd",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # what is loaded when first used is completed, too
