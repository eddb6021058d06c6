"""``sithctl eval zero-shot``: how well a model tells classes of pictures by their names."""

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

LabelOpt = Annotated[
    str | None,
    typer.Option("--label", help="The column of classes; default label, y, class, … or shape."),
]
GroupOpt = Annotated[
    str | None,
    typer.Option(
        "--group", help="Columns that with the label make groups, with commas between them."
    ),
]
ClassesOpt = Annotated[
    str | None,
    typer.Option(
        "--classes",
        help="A file: a class a line, its name, or label, tab, names.",
        autocompletion=completion.texts,
    ),
]
TemplateOpt = Annotated[
    list[str] | None,
    typer.Option("--template", help='As in "a photo of a {}", the default; several are averaged.'),
]


def zero_shot(
    context: typer.Context,
    model: ModelArg = "scenes",
    *,
    data: DataOpt,
    label: LabelOpt = None,
    group: GroupOpt = None,
    classes: ClassesOpt = None,
    template: TemplateOpt = None,
    against: AgainstOpt = None,
    max_drop: MaxDropOpt = None,
    split: SplitOpt = None,
    image_column: ImageColumnOpt = "image",
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
    """Classify pictures by the names of their classes: accuracy overall, by class and by group.

    Figures have bootstrap 95% intervals. A group is a label and the values of --group's columns;
    without any, the worst group is the worst class. Waterbirds' place is found by itself.

    A class is the mean over its names and all templates, each of norm 1. In --classes a line is
    the label, a tab and the names with commas between them. In a file without tabs a line is a
    name: a label itself, or the next of numbered labels, from 0.

    With --against both models see the same pictures, each in its own way; differences are of
    pairs. With --max-drop 0.02 it exits with 4 where any accuracy falls by more.

    Example: sithctl eval zero-shot edited -d scenes:spurious --against scenes --limit 200
    """
    from sithctl.evaluation.zero_shot import zero_shot as task
    from sithctl.sources.classes import read_classes
    from sithctl.stages.text_pool import check_templates
    from sithctl.views.console import output as console

    check_templates(template or [])
    check_report(output, force)
    names = read_classes(classes) if classes is not None else None
    (images,) = pictures([data], context, attributes=True)
    both = models(context, model)
    with console.progress("encoding pictures") as tell:
        result = task(
            both[0],
            images,
            against=both[1] if len(both) > 1 else None,
            label=label,
            groups=[g.strip() for g in (group or "").split(",") if g.strip()],
            classes=names,
            templates=template or [],
            max_drop=max_drop,
            seed=seed,
            progress=tell,
        )
    note_skipped(images.left_out, result.header["pictures"])
    show(result, format, output)
