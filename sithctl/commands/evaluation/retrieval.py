"""``sithctl eval retrieval``: pictures found by texts and texts by pictures."""

from __future__ import annotations

from typing import Annotated

import typer

from sithctl.commands import completion
from sithctl.commands.evaluation.comparing import (
    AgainstOpt,
    DataOpt,
    MaxDropOpt,
    SeedOpt,
    models,
    pictures,
)
from sithctl.commands.evaluation.showing import Format, FormatOpt, check_report, show
from sithctl.commands.image_options import (
    BATCH,
    CaptionColumnOpt,
    ImageColumnOpt,
    LimitOpt,
    SplitOpt,
    StreamingOpt,
    StrictOpt,
    note_skipped,
)
from sithctl.commands.options import (
    DeviceOpt,
    DtypeOpt,
    EncodeBatchOpt,
    ForceOpt,
    ModelArg,
    OutOpt,
    Precision,
)

UnsafeOpt = Annotated[
    str | None,
    typer.Option(
        "--unsafe",
        help="As --data: row i is the unsafe counterpart of its row i.",
        autocompletion=completion.pictures,
    ),
]


def retrieval(
    context: typer.Context,
    model: ModelArg = "scenes",
    *,
    data: DataOpt,
    unsafe: UnsafeOpt = None,
    against: AgainstOpt = None,
    max_drop: MaxDropOpt = None,
    split: SplitOpt = None,
    image_column: ImageColumnOpt = "image",
    caption_column: CaptionColumnOpt = None,
    streaming: StreamingOpt = False,
    limit: LimitOpt = None,
    strict: StrictOpt = False,
    seed: SeedOpt = 0,
    device: DeviceOpt = "cpu",
    dtype: DtypeOpt = Precision.float32,
    batch_size: EncodeBatchOpt = BATCH,
    format: FormatOpt = Format.table,  # noqa: A002 (the option's name)
    output: OutOpt = None,
    force: ForceOpt = False,
) -> None:
    """Find pictures by their captions and captions by their pictures: recall at 1, 5 and 10.

    Any picture of a caption that occurs several times is right, and ties count against the right
    answer. Figures have bootstrap 95% intervals.

    With --unsafe there are also ViSU's settings: unsafe texts (T*) look among all pictures (V∪V*),
    unsafe pictures among all texts, and right is the safe one of the pair. Safe queries look
    there, too; and how often the first answer is a safe one at all stands beside recall.

    With --against both models see the same pictures, each in its own way; differences are of
    pairs. With --max-drop 0.02 it exits with 4 where any figure falls by more.

    Example: sithctl eval retrieval -d scenes:safe --unsafe scenes:hazard --limit 100
    """
    from sithctl.evaluation.retrieval import retrieval as task
    from sithctl.views.console import output as console

    check_report(output, force)
    sources = pictures([data, *([unsafe] if unsafe else [])], context, captions=True)
    both = models(context, model)
    with console.progress("encoding pictures") as tell:
        result = task(
            both[0],
            sources[0],
            unsafe=sources[1] if unsafe else None,
            against=both[1] if len(both) > 1 else None,
            max_drop=max_drop,
            seed=seed,
            progress=tell,
        )
    for source in sources:
        note_skipped(source.left_out, result.header["pictures"])
    show(result, format, output)
