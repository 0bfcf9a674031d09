"""One line that says how far a download or an unpacking is."""

from __future__ import annotations

import sys

__all__ = ["show"]


def show(line: str) -> None:
    """Rewrites the progress line; silent where nobody watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()
