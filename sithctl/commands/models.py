"""``sithctl models``: the table of model families."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from sithctl.commands.common import command


class ListFormat(StrEnum):
    table = "table"
    json = "json"


FormatOpt = Annotated[ListFormat, typer.Option("--format", help="Table for people, json for data.")]


@command
def models(format: FormatOpt = ListFormat.table) -> None:  # noqa: A002 (the option's name)
    """List the model families that can be folded, and what each supports.

    A family is a table entry of tensor names; whatever breaks the algebra (a norm between value and
    output, norms after the residual sum, attention and MLP in parallel, hierarchies of windows or
    convolutions) is found by structure and refused. `sithctl fold MODEL --dry-run` shows the
    tensors that would be read of one model.

    Example: sithctl models
    """
    import json

    from sithctl.views.console import output

    rows = _rows()
    if format is ListFormat.json:
        output.text(json.dumps(rows, ensure_ascii=False, indent=2) + "\n")
        return
    from rich.console import Console

    from sithctl.views.models import families

    output.table(families(rows, Console().width))


def _rows() -> list[dict[str, Any]]:
    from sithctl.models.families import FAMILIES
    from sithctl.models.family import Family

    def pool(family: Family) -> str:
        if family.tower == "text":
            return "texts"
        if family.library == "timm" or not (family.within or family.library == "open_clip"):
            return "images"
        return "texts, images"

    return [
        {
            "family": family.name,
            "library": family.library,
            "model_types": list(family.model_types),
            "tower": family.tower,
            "norm": "as the model" if "timm" in family.name else family.norm,
            "readout": family.reads_out,
            "pool": pool(family),
            "example": family.example,
        }
        for family in FAMILIES
        if family.example
    ]
