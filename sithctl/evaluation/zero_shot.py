"""Zero-shot classification: accuracy overall, by class, by group, and of the worst group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sithctl.errors import UsageError
from sithctl.evaluation.compared import base_alone, columns, fallen
from sithctl.evaluation.labelled import Class, Labelling
from sithctl.evaluation.prompted import TEMPLATE, class_weights, prompts_of
from sithctl.evaluation.results import Column, Evaluation, Record, Table, Tell, untold
from sithctl.evaluation.seen import Seen, see, unit, with_words
from sithctl.evaluation.tallies import FIGURE, tallies
from sithctl.kinds import Array, ClassNames
from sithctl.models import Encoder
from sithctl.models.locate import Named
from sithctl.stages.text_pool import check_templates

if TYPE_CHECKING:
    from sithctl.sources.images import Images

SHOWN = 50  # classes on a terminal


def zero_shot(
    model: Named | Encoder,
    images: Images,
    *,
    against: Named | Encoder | None = None,
    label: str | None = None,
    groups: Sequence[str] = (),
    classes: ClassNames | None = None,
    templates: Sequence[str] = (),
    max_drop: float | None = None,
    seed: int = 0,
    progress: Tell = untold,
) -> Evaluation:
    """Classify pictures by the prompt of their class that is nearest.

    Args:
        model: measured.
        images: a source opened with attributes wanted.
        against: a base that sees the same pictures in its own way.
        label: the column of labels; by default the first usual one.
        groups: columns that, with the label, make the groups of Waterbirds' kind.
        classes: what the labels are called; by default what the data call them.
        templates: sentences with a ``{}``; a class is the mean over names and templates.
        max_drop: of any accuracy against the base.
        seed: of the bootstrap.
        progress: called with (pictures done, pictures in all or 0).

    Raises:
        InputError: a model without a text tower; labels, groups or classes that do not fit.
        UsageError: ``max_drop`` without ``against``; a template without ``{}``.
    """
    check_templates(templates)
    if max_drop is not None and against is None:
        raise UsageError("a drop from what", None, "name the model to compare with by --against")
    encoders = with_words(model, against)
    labelling = Labelling.of(images, label, groups, classes)
    labelling.check_values(images)
    seen = see(images, encoders, check=labelling.check, progress=progress)
    known, truth = labelling.read([facts[labelling.label] for facts in seen.known])
    chosen = list(templates) or [TEMPLATE]
    right = _right(encoders, seen, known, np.array(truth), chosen)
    names = [encoder.location.name for encoder in encoders]
    records = tallies(right, known, np.array(truth), seen.known, labelling.groups, seed)
    header = _header(names, labelling, len(truth), chosen, records)
    return Evaluation(
        "zero-shot",
        header,
        _tables(records, labelling.source, *names),
        failures=fallen(_named(records), max_drop),
    )


def _right(
    encoders: Sequence[Encoder],
    seen: Seen,
    classes: Sequence[Class],
    truth: Array,
    templates: Sequence[str],
) -> list[Array]:
    """Of each model, (pictures,) whether it finds the right class."""
    prompts = [prompts_of(c.names, templates) for c in classes]
    found = []
    for encoder, features in zip(encoders, seen.features, strict=True):
        weights = unit(class_weights(encoder.encode_text, prompts), encoder)
        found.append((features @ weights.T).argmax(1).numpy() == truth)
    return found


def _header(
    names: Sequence[str],
    labelling: Labelling,
    pictures: int,
    templates: Sequence[str],
    records: dict[str, list[Record]],
) -> Record:
    header: Record = {
        "model": names[0],
        "data": labelling.source,
        "pictures": pictures,
        "label": labelling.label,
        "group": list(labelling.groups),
        "templates": list(templates),
    }
    if len(names) > 1:
        base = {key: [base_alone(r, FIGURE) for r in rows] for key, rows in records.items()}
        apart = {record["of"]: record for record in base.pop("summary")}
        header["against"] = {"model": names[1], **apart, **base}
    return header


def _tables(
    records: dict[str, list[Record]], data: str, model: str, base: str | None = None
) -> tuple[Table, ...]:
    shown = columns(FIGURE, FIGURE, model, base)
    count = () if base else (Column("pictures", "pictures", "count"),)

    def table(key: str, title: str, first: str, **more: Any) -> Table:
        name = Column(first, "" if key == "summary" else first, "text")
        return Table(key, title, (name, *count, *shown), records[key], **more)

    return (
        table("summary", f"{model} on {data} · zero-shot", "title", apart="of"),
        table("groups", "Groups", "group"),
        table("classes", "Classes", "class", limit=SHOWN),
    )


def _named(records: dict[str, list[Record]]) -> list[tuple[str, Record]]:
    """Every figure with what a failure calls it."""
    overall, lowest = records["summary"]
    named = [("overall accuracy", overall), ("accuracy of the worst group", lowest)]
    named += [(f"the class {r['class']}", r) for r in records["classes"]]
    return named + [(f"the group {r['group']}", r) for r in records["groups"]]
