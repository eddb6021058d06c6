"""``sithctl merge``: the parts that ``--shard`` made to one whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sithctl.commands import completion
from sithctl.commands.common import command
from sithctl.commands.options import ForceOpt, HistoryDetail, HistoryOpt, OutOpt

PartsArg = Annotated[
    list[Path],
    typer.Argument(
        help="All parts of one pool, mean or codes, in any order.",
        autocompletion=completion.codes,
    ),
]


@command
def merge(
    parts: PartsArg,
    output: OutOpt = None,
    force: ForceOpt = False,
    history: HistoryOpt = HistoryDetail.plain,
) -> None:
    """Join the parts that encode-pool, mean or decompose made with --shard.

    The result is what one process would have made. A part that is missing, there twice, or of
    another run is refused.

    As an array of SLURM's, and a job that joins its parts after it:

    \b
    #!/bin/bash
    #SBATCH --job-name=sithctl-pool
    #SBATCH --array=1-16
    #SBATCH --gres=gpu:1
    #SBATCH --requeue
    sithctl encode-pool conceptnet --model ./clip --device cuda \\
      --shard $SLURM_ARRAY_TASK_ID/16 -o part-$SLURM_ARRAY_TASK_ID.h5

    \b
    sbatch --dependency=afterok:$JOB --wrap "sithctl merge part-*.h5 -o pool.h5"

    A task that is killed goes on where it was when it is queued again.

    Example: sithctl encode-pool scenes --max-words 2 --shard 1/2 -o part-1.h5

    Example: sithctl encode-pool scenes --max-words 2 --shard 2/2 -o part-2.h5

    Example: sithctl merge part-*.h5 -o whole.h5
    """
    from sithctl.artifacts.store import load_part
    from sithctl.commands.writing import check_target, write
    from sithctl.stages.merging import merge as stage

    check_target(output, force)
    write(stage([load_part(part) for part in parts]), output, history)
