"""The paper's experiments on the bundled model: a module each, whose ``run(lab)`` does it."""

from importlib import import_module

from sithctl.evaluation.lab import Lab
from sithctl.evaluation.reproduction import Reproduction

EXPERIMENTS = (
    "fidelity",
    "pool-size",
    "grounding",
    "spurious",
    "unsafe",
    "classification",
    "adaptation",
    "reconstruction",
)


def reproduce(name: str, lab: Lab) -> Reproduction:
    """Do one of ``EXPERIMENTS`` in a lab."""
    lab.commands.clear()
    module = import_module(f"sithctl.evaluation.experiments.{name.replace('-', '_')}")
    result: Reproduction = module.run(lab)
    return result
