"""Man pages and completions from the command tree and the code's own schema, worked examples, and
the README's pictures and tables from real output: ``python -m sithctl.commands.manual``."""

from sithctl.commands.manual.check import ROOT, drifted, generated

__all__ = ["ROOT", "drifted", "generated"]
