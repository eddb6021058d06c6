"""What an experiment of the paper finds on a model of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sithctl.evaluation.charts import Chart
from sithctl.evaluation.results import Column, Evaluation, Table


@dataclass(frozen=True)
class Claim:
    """What should hold, and whether it does.

    Attributes:
        required: whether the experiment failed where it does not.
    """

    what: str
    holds: bool
    required: bool = True


@dataclass(frozen=True)
class Reproduction:
    """One experiment: the paper's figures, ours, and what chance or a simpler edit gives.

    Attributes:
        paper: as published.
        measured: by condition; ``base`` and, of an edit, ``edited``.
        control: by control.
        commands: all that was run.
        claims: what must hold of them.
    """

    experiment: str
    paper: Mapping[str, Any]
    measured: Mapping[str, Any]
    control: Mapping[str, Any]
    commands: tuple[str, ...]
    claims: tuple[Claim, ...]
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...] = ()
    notes: tuple[str, ...] = ()
    seed: int = 0

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "experiment": self.experiment,
            "seed": self.seed,
            "paper": dict(self.paper),
            "measured": dict(self.measured),
            "control": dict(self.control),
            "claims": [vars(claim) for claim in self.claims],
            "notes": list(self.notes),
            "commands": list(self.commands),
        }

    @property
    def failed(self) -> list[str]:
        """The required claims that do not hold."""
        return [claim.what for claim in self.claims if claim.required and not claim.holds]

    def shown(self) -> Evaluation:
        """For people: the tables, then the claims."""
        rows = [{"claim": c.what, "holds": c.holds} for c in self.claims]
        columns = (Column("claim", "claim", "text"), Column("holds", "holds", "flag"))
        claims = Table("claims", "what was to be shown", columns, rows)
        return Evaluation(f"reproduce {self.experiment}", {}, (*self.tables, claims), self.notes)
