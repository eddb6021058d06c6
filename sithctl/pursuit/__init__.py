"""Sparse coding of vectors by concepts: top-k, matching pursuit, NNOMP, COMP."""

from typing import TYPE_CHECKING, Any

from sithctl.pursuit.methods import METHODS

if TYPE_CHECKING:
    from sithctl.pursuit.coding import SparseCodes, sparse_code

__all__ = ["METHODS", "SparseCodes", "sparse_code"]


def __getattr__(name: str) -> Any:
    """Load torch only when something is to be coded."""
    if name in {"SparseCodes", "sparse_code"}:
        from sithctl.pursuit import coding

        return getattr(coding, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
