"""Write an artefact the way every stage does."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from sithctl.commands.options import HistoryDetail
from sithctl.kinds import Artefact


def write(artefact: Artefact, target: str | None, history: HistoryDetail) -> None:
    """Save, with times and arguments in the last history entry where they are asked for."""
    from sithctl.artifacts import save

    extra = None
    if history is HistoryDetail.full:
        extra = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "arguments": sys.argv[1:],
            "folder": str(Path.cwd()),
        }
    save(artefact, target, times=extra)
