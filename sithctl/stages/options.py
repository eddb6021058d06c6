"""How to explain: the options of ``decompose``, free of torch so that commands can read them."""

from __future__ import annotations

from dataclasses import dataclass

from sithctl.errors import InputError
from sithctl.pursuit.methods import ALIASES, METHODS

SIDES = ("right", "left")
POLES = {"both": ("+", "-"), "+": ("+",), "-": ("-",)}
SIGN = {"+": 1.0, "-": -1.0}


@dataclass(frozen=True)
class Options:
    """How to explain; the same on the command line.

    Attributes:
        method: ``comp``, ``nnomp``, ``mp``, ``top-k`` or ``nearest``.
        sparsity: K, concepts an explanation at most.
        coherence: λ.
        rank: singular vectors a head; all when None.
        side: ``right``, what a head writes; ``left``, what it reads for.
        pole: ``both``, ``+`` or ``-``.
        degenerate_gap: vectors whose σ lie within this share of a neighbour's are marked.
    """

    method: str = "comp"
    sparsity: int = 5
    coherence: float = 0.3
    rank: int | None = None
    side: str = "right"
    pole: str = "both"
    degenerate_gap: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", ALIASES.get(self.method, self.method))
        if self.method not in METHODS:
            raise InputError(f"no method {self.method}", None, f"one of {', '.join(METHODS)}")
        if self.sparsity < 1:
            raise InputError(f"no sparsity {self.sparsity}", None, "1 or more")
        if not 0 <= self.coherence < float("inf"):
            raise InputError(f"no coherence {self.coherence}", None, "0 or more")
        if self.side not in SIDES:
            raise InputError(f"no side {self.side}", None, "right or left")
        if self.pole not in POLES:
            raise InputError(f"no pole {self.pole}", None, "both, + or -")

    @property
    def poles(self) -> tuple[str, ...]:
        return POLES[self.pole]

    def document(self) -> dict[str, object]:
        """What changes the result, for history."""
        return {
            "method": self.method,
            "sparsity": self.sparsity,
            "coherence": self.coherence if self.method == "comp" else None,
            "rank": self.rank,
            "side": self.side,
            "poles": list(self.poles),
            "degenerate_gap": self.degenerate_gap,
        }
