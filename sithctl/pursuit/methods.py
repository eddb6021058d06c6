"""The names of the pursuits, readable without torch."""

METHODS = ("comp", "nnomp", "mp", "top-k", "nearest")
ALIASES = {"omp": "nnomp"}
