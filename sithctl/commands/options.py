"""Option types, each declared once and meaning the same everywhere."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from typing import Annotated

import typer

from sithctl.commands import completion
from sithctl.errors import UsageError

MODEL_HELP = "scenes, scenes-vit, a directory, open_clip:NAME/TAG, timm:NAME or a Hugging Face id."


class Grade(StrEnum):
    a = "A"
    b = "B"
    c = "C"
    d = "D"


class Method(StrEnum):
    comp = "comp"
    nnomp = "nnomp"
    omp = "omp"
    mp = "mp"
    top_k = "top-k"
    nearest = "nearest"


class Side(StrEnum):
    right = "right"
    left = "left"


class Pole(StrEnum):
    both = "both"
    plus = "+"
    minus = "-"


class Tower(StrEnum):
    vision = "vision"
    text = "text"


class Precision(StrEnum):
    float32 = "float32"
    float16 = "float16"
    bfloat16 = "bfloat16"


class Storage(StrEnum):
    float32 = "float32"
    float16 = "float16"


class FoldPrecision(StrEnum):
    float32 = "float32"
    float64 = "float64"


class HistoryDetail(StrEnum):
    plain = "plain"
    full = "full"


ModelArg = Annotated[
    str, typer.Argument(envvar="SITHCTL_MODEL", help=MODEL_HELP, autocompletion=completion.models)
]
ModelOpt = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help=f"{MODEL_HELP} Default: SITHCTL_MODEL, else scenes.",
        autocompletion=completion.models,
    ),
]
LayersOpt = Annotated[
    str | None,
    typer.Option(
        "--layers",
        "--layer",
        help="Layers, from 0: 5, 20-23, 20,22 or -4- (the last four).",
        autocompletion=completion.layers,
    ),
]
LayerOpt = Annotated[
    str | None,
    typer.Option(
        "--layer", "-l", "--layers", help="Layers: 5, 4-5, -1.", autocompletion=completion.layers
    ),
]
HeadOpt = Annotated[
    str | None, typer.Option("--head", help="Heads: 2, 0-3, -1.", autocompletion=completion.heads)
]
SvOpt = Annotated[
    str | None,
    typer.Option("--sv", help="Singular vectors: 0, 0-4.", autocompletion=completion.vectors),
]
TopOpt = Annotated[int | None, typer.Option("--top", min=1, help="First vectors of each head.")]
MinGradeOpt = Annotated[
    Grade | None,
    typer.Option(
        "--min-grade",
        case_sensitive=False,
        help="Explanations of this grade or better, of codes that `eval trust` graded.",
    ),
]
TowerOpt = Annotated[
    Tower, typer.Option("--tower", help="Which tower's heads: vision, or a CLIP's text tower.")
]
HeadsOpt = Annotated[
    int | None,
    typer.Option("--heads", min=1, help="Heads a layer, of a checkpoint without a config."),
]
OutOpt = Annotated[
    str | None, typer.Option("--output", "-o", help="The file to write; - or nothing is a pipe.")
]
ForceOpt = Annotated[bool, typer.Option("--force", "-f", help="Overwrite the output.")]
HistoryOpt = Annotated[
    HistoryDetail,
    typer.Option(
        "--history", help="plain: what changes the result; full: also times and arguments."
    ),
]
DeviceOpt = Annotated[
    str, typer.Option("--device", help="cpu, cuda, cuda:1, mps.", autocompletion=completion.devices)
]
DtypeOpt = Annotated[Precision, typer.Option("--dtype", help="Arithmetic of the forward pass.")]
EncodeBatchOpt = Annotated[
    int, typer.Option("--batch-size", min=1, help="Texts or images that pass at a time.")
]
CodeBatchOpt = Annotated[
    int,
    typer.Option("--batch-size", min=1, help="Vectors in one product; changes speed alone."),
]
ShardOpt = Annotated[
    str | None,
    typer.Option("--shard", help="This part alone, as in 3/16; `sithctl merge` joins all."),
]
ExactOpt = Annotated[
    bool,
    typer.Option(
        "--exact", "--no-screen", help="Score all in float32, not first in bfloat16: as sure, slow."
    ),
]
MaxMemoryOpt = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="At most so much memory in all, as in 3G: slower where the pool does not fit, and the "
        "same result. Unless told, about what the pool takes on disk.",
    ),
]
VerboseOpt = Annotated[
    bool, typer.Option("--verbose", help="Say how many scores were computed again.")
]
PoolOpt = Annotated[
    str | None,
    typer.Option(
        "--pool",
        "-p",
        help="The concept pool; bundled models bring their own.",
        autocompletion=completion.pools,
    ),
]
MeanOpt = Annotated[
    str | None,
    typer.Option(
        "--mean",
        help="Mean of image features, or none; the bundled one for scenes.",
        autocompletion=completion.means,
    ),
]
MethodOpt = Annotated[Method, typer.Option("--method", help="How concepts are selected.")]
SparsityOpt = Annotated[
    int, typer.Option("--sparsity", "-k", min=1, help="Concepts an explanation at most (K).")
]
CoherenceOpt = Annotated[
    float, typer.Option("--coherence", min=0.0, help="Weight of coherence in COMP (λ).")
]
RankOpt = Annotated[
    int | None, typer.Option("--rank", min=1, help="Singular vectors a head; all when not given.")
]
SideOpt = Annotated[
    Side, typer.Option("--side", help="right: what a head writes; left: what it reads for.")
]
PoleOpt = Annotated[Pole, typer.Option("--pole", help="Which sign of each vector to explain.")]
GapOpt = Annotated[
    float,
    typer.Option("--degenerate-gap", min=0.0, help="σ this near to a neighbour's are marked ≈."),
]


def size_of(text: str | None) -> int | None:
    """Bytes of a size as people write it; None for none.

    >>> size_of("1.5G"), size_of("512MiB"), size_of("300000000")
    (1500000000, 536870912, 300000000)
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(I?)B?|B?)", text.strip().upper())
    if match is None:
        raise UsageError("no size of memory", text, "write it as in 3G, 512M or 1.5GiB")
    number, unit, binary = match.groups()
    base = 1024 if binary else 1000
    return int(float(number) * base ** ("KMGT".index(unit) + 1 if unit else 0))


def named_model(model: str | None) -> str:
    """The model that an option names, that ``SITHCTL_MODEL`` does, or the bundled one."""
    return model or os.environ.get("SITHCTL_MODEL") or "scenes"
