"""Read what the attention heads of a Vision Transformer mean from its weights alone, and edit them.

One function a stage, loaded when first used::

    from sithctl import decompose, encode_pool, explain, fold, svd

    codes = decompose(svd(fold("scenes")), encode_pool(["crimson", "striped thing", …]))
    for explanation in explain(codes, layer="5", head="2", top=3):
        print(explanation.pole, [c.concept for c in explanation.concepts])
"""

from typing import TYPE_CHECKING, Any

from sithctl._version import __version__

if TYPE_CHECKING:
    from sithctl.evaluation.tasks import evaluate
    from sithctl.kinds import Change, Plan
    from sithctl.stages.decompose import decompose
    from sithctl.stages.edit import edit
    from sithctl.stages.explain import explain
    from sithctl.stages.fold import fold
    from sithctl.stages.judge import judge
    from sithctl.stages.mean import mean
    from sithctl.stages.options import Options
    from sithctl.stages.pool import encode_pool
    from sithctl.stages.svd import svd

_WHERE = {
    "fold": "sithctl.stages.fold",
    "svd": "sithctl.stages.svd",
    "encode_pool": "sithctl.stages.pool",
    "judge": "sithctl.stages.judge",
    "mean": "sithctl.stages.mean",
    "decompose": "sithctl.stages.decompose",
    "edit": "sithctl.stages.edit",
    "evaluate": "sithctl.evaluation.tasks",
    "Change": "sithctl.kinds",
    "Plan": "sithctl.kinds",
    "explain": "sithctl.stages.explain",
    "Options": "sithctl.stages.options",
}

__all__ = [
    "Change",
    "Options",
    "Plan",
    "__version__",
    "decompose",
    "edit",
    "encode_pool",
    "evaluate",
    "explain",
    "fold",
    "judge",
    "mean",
    "svd",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
