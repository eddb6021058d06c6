"""What a user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """The known names that are most like ``name``, however little that is.

    >>> nearest("vit_bse", ["vit_base", "swin_tiny"], 1)
    'vit_base'
    """
    return ", ".join(difflib.get_close_matches(name, list(known), n=count, cutoff=0.0))
