"""Where output goes: results to standard output, everything else to standard error."""

from __future__ import annotations

import sys

from rich.console import Console

__all__ = ["duration", "messages", "results"]

_FILE_WIDTH = 120


def results() -> Console:
    """For what a command was asked for. In a file or pipe lines are wide and carry no colours."""
    return Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)


def messages() -> Console:
    """For progress and errors."""
    return Console(stderr=True)


def duration(seconds: float) -> str:
    """An estimated time in words, such as ``≈ 12 min``."""
    if seconds < 90:
        return f"≈ {seconds:.0f} s"
    if seconds < 5400:
        return f"≈ {seconds / 60:.0f} min"
    return f"≈ {seconds / 3600:.1f} h"
