"""The command line.  Importing it loads neither torch nor NumPy: help must answer at once."""

from __future__ import annotations

from dougong.cli.app import main

__all__ = ["main"]
