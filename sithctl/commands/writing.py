"""Write an artefact the way every stage does."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from sithctl.commands import ranks
from sithctl.commands.options import HistoryDetail
from sithctl.kinds import Artefact
from sithctl.kinds.shard import Columns, Shard


def check_target(target: str | None, force: bool) -> None:
    """Refuse a target before any work is done for it; of several ranks, the one that writes."""
    from sithctl.artifacts import streams

    if ranks.rank() == 0:
        streams.check_target(target, force)


def write(
    artefact: Artefact,
    target: str | None,
    history: HistoryDetail,
    *,
    shard: Shard | None = None,
    seams: Columns | None = None,
) -> None:
    """Save, with times and arguments in the last history entry where they are asked for; of
    several ranks, the first alone."""
    from sithctl.artifacts import save

    extra = None
    if history is HistoryDetail.full:
        extra = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "arguments": sys.argv[1:],
            "folder": str(Path.cwd()),
        }
    if ranks.rank() == 0:
        save(artefact, target, times=extra, shard=shard, seams=seams)
