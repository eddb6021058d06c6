"""The paper's experiments on the bundled model: a module each, whose ``run(lab)`` does it."""

from importlib import import_module

from sithctl.evaluation.lab import Lab
from sithctl.evaluation.reproduction import Reproduction

EXPERIMENTS = {  # and the figures that each draws
    "fidelity": ("fidelity", "trade-off"),
    "pool-size": ("pool-size",),
    "grounding": (),
    "spurious": ("spurious",),
    "unsafe": ("unsafe",),
    "classification": (),
    "adaptation": (),
    "reconstruction": ("reconstruction",),
}


def reproduce(name: str, lab: Lab) -> Reproduction:
    """Do one of ``EXPERIMENTS`` in a lab."""
    lab.commands.clear()
    module = import_module(f"sithctl.evaluation.experiments.{name.replace('-', '_')}")
    result: Reproduction = module.run(lab)
    return result
