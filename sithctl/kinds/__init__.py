"""What the stages hand on: heads, spectra, pools, means, codes.

Each kind is a frozen dataclass of numpy arrays. ``arrays()`` and ``document()`` take it apart into
what a file holds, named arrays and one JSON document; ``from_parts`` puts it together again.
Containers (safetensors, HDF5) know nothing of kinds, kinds nothing of containers.
"""

from sithctl.kinds.base import SCHEMA, Array, Artefact, Blobs, Column, History, Identity, entry
from sithctl.kinds.codes import Codes, Concepts, LayerCodes
from sithctl.kinds.delta import Delta
from sithctl.kinds.explanations import Explanation, Explanations, Fidelity, WeightedConcept
from sithctl.kinds.heads import HeadFactors, Heads, LayerSpectra, Spectra
from sithctl.kinds.images import Arrival, CaptionedImage, ClassNames
from sithctl.kinds.matches import Match, Matches
from sithctl.kinds.plan import Change, Plan
from sithctl.kinds.pool import Factors, Mean, Pool
from sithctl.kinds.readout import Readout, Step

KINDS: dict[str, type[Artefact]] = {
    kind.kind: kind for kind in (Heads, Spectra, Pool, Mean, Codes, Delta)
}

__all__ = [
    "KINDS",
    "SCHEMA",
    "Array",
    "Arrival",
    "Artefact",
    "Blobs",
    "CaptionedImage",
    "Change",
    "ClassNames",
    "Codes",
    "Column",
    "Concepts",
    "Delta",
    "Explanation",
    "Explanations",
    "Factors",
    "Fidelity",
    "HeadFactors",
    "Heads",
    "History",
    "Identity",
    "LayerCodes",
    "LayerSpectra",
    "Match",
    "Matches",
    "Mean",
    "Plan",
    "Pool",
    "Readout",
    "Spectra",
    "Step",
    "WeightedConcept",
    "entry",
]
