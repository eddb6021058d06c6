"""``sithctl-files(5)``: what is in the files between stages, from the code's own schema."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from sithctl.artifacts import plans, scores
from sithctl.artifacts.containers import ATTRIBUTE
from sithctl.artifacts.store import MADE_BY, SHARD
from sithctl.commands.manual.roff import flat, header, item, name, rendered, roff, see_also
from sithctl.commands.manual.schema import columns, entries
from sithctl.kinds import KINDS, SCHEMA
from sithctl.kinds.codes import REASONS
from sithctl.kinds.readout import Step
from sithctl.kinds.shard import Shard
from sithctl.stages.explain import Explanation
from sithctl.views.records import COLUMNS


def _names(cls: Any) -> str:
    return ", ".join(f.name for f in fields(cls))


ABOUT = f"""
# DESCRIPTION

Each stage writes one file, and the next reads it; `sithctl info FILE` shows what is in one. A file
is named arrays and one JSON document: in safetensors the document is the metadata's entry
{ATTRIBUTE}, in HDF5 the root's attribute of that name. Arrays are little-endian, rows first.
The same work gives the same bytes: a file has no times and no paths, unless --history full asks
for them. A file goes through a pipe as it is; it is written beside its place and renamed, so that
none is ever half there. Files of a later schema than {SCHEMA} are refused.

# DOCUMENT

These entries are in every document:

- kind: what it is, as below.
- schema: the version of this description, {SCHEMA}.
- model: name, the model's id or its folder's base name; space, a digest of the read-out's tensors,
  which says whose feature space it is: files of one work must agree in it, and it is null for ready
  embeddings; for heads, spectra and deltas also layers, a digest for each layer read.
- history: the stages it came through, oldest first, each with its name (stage), version, the
  parameters that change the result, and the digests of its inputs.
- digest: of all the rest, 32 hexadecimal digits; `sithctl info --check` computes it again.
- {SHARD}: of a part of a whole alone, which `sithctl merge` joins: {_names(Shard)}.
  Its arrays that begin with {SHARD}/ are what joining needs.
"""

NUMBERS = re.compile(r"\b(float|int|uint|bool)\d*\b")
ENTRIES = {
    "architecture": "the model's family and its sizes.",
    "plain": "whether neither LayerNorm was folded in nor the sides centred.",
    "readout": "the steps from the residual stream to the feature space, in order: op, epsilon, "
    "activation.",
    "modality": "text or image.",
    "concepts": "how many rows there are.",
    "features": "the dimension of the feature space.",
    "count": "how many images.",
    "parameters": "how concepts were selected; poles says which poles there are, in order.",
    "plan": "what was changed: rows of layer, head, sv, scale, why.",
    "dtypes": "by tensor, the checkpoint's own type.",
}
PLANS = f"""
# PLANS

What `sithctl edit` is to do is a CSV with the columns {", ".join(plans.COLUMNS)}: a row a singular
vector of the unedited model, whose σ is multiplied by scale. A first line that begins with
"{plans.MARK.strip()}" has the model's JSON: its name, space and the digest of each layer touched,
which are checked; a plan without it is taken with a notice. A name that ends in .toml means TOML:
a table model, and a table [[change]] a row.

# SCORES

What `sithctl judge` gives is a CSV with the columns {", ".join(scores.COLUMNS)};
concepts and why may be missing, and others may stand beside them. A first line that begins with
"{scores.MARK.strip()}" names the model in the same way.
"""
EXPLANATIONS = f"""
# EXPLANATIONS

`sithctl explain --format json` is one document: model, architecture, parameters, and explanations,
each with {_names(Explanation)}; grade and reasons only of codes that
`sithctl eval trust` graded. fidelity has feature, residual and residual_ceiling, null where the
read-out is more than a norm and a linear map. A concept has concept, coefficient and index, its row
in the pool; an image's also image. jsonl is one explanation a line.

csv and tsv have a line a concept: {", ".join(COLUMNS)}; rank is the concept's place.
"""


def page() -> str:
    """The page."""
    lines = [
        *header("sithctl-files", 5),
        *name("sithctl-files", "the files between sithctl's stages"),
    ]
    lines += [*rendered(ABOUT), ".SH KINDS"]
    for kind in KINDS:
        lines += _kind(kind)
    lines += [".SS readout", roff(flat(_plain(Step.__doc__ or "")))]
    lines += [".PP", roff("Its arrays are readout.STEP.NAME, in HDF5 readout/STEP/NAME, from 0.")]
    lines += rendered(PLANS)
    lines += rendered(EXPLANATIONS)
    return "\n".join([*lines, *see_also("sithctl(1)", "sithctl-method(7)")]) + "\n"


def _kind(kind: str) -> list[str]:
    cls = KINDS[kind]
    about = flat((cls.__doc__ or "").partition("Attributes:")[0])
    container = {"hdf5": "HDF5"}.get(cls.container, cls.container)
    lines = [f".SS {kind}", roff(f"{about} {container}, from `sithctl {MADE_BY[kind]}`.")]
    for column, dtype, meaning in columns(kind):
        if not NUMBERS.search(meaning):  # where a docstring says more: float32 or float16
            meaning = f"{dtype} {meaning}" if meaning.startswith("(") else f"{dtype}: {meaning}"
        lines += item(column, _plain(meaning))
    for entry in entries(kind):
        lines += item(entry, f"in the document: {ENTRIES[entry]}", "I")
    return lines


def _plain(text: str) -> str:
    """A docstring's words without its marks."""
    flags = ", ".join(f"{1 << i} {reason}" for i, reason in enumerate(REASONS))
    return text.replace("``REASONS``", flags).replace("``", "")
