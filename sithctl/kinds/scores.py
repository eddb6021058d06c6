"""What a judge gives: a score for one pole of one singular vector."""

from __future__ import annotations

from dataclasses import dataclass

LOWEST, HIGHEST = 1, 5


@dataclass(frozen=True)
class Score:
    """How far a question is true of one explanation.

    Attributes:
        pole: ``+`` or ``-``.
        score: 1 (not at all) to 5 (entirely).
        concepts: quoted labels with coefficients, as the judge saw them.
        why: the judge's short reason, or nothing.
    """

    layer: int
    head: int
    sv: int
    pole: str
    score: int
    concepts: str = ""
    why: str = ""
