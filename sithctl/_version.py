"""The version, where code that must stay light can read it."""

__version__ = "0.1.0"
