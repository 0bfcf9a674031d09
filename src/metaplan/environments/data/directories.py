"""The two directories: the user's data, and Metaplan's own cache."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["cache_directory", "data_directory", "locked"]


def cache_directory() -> Path:
    """Metaplan's own cache: ``$XDG_CACHE_HOME/metaplan``, by default ``~/.cache/metaplan``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "metaplan"


def data_directory() -> Path:
    """Where benchmark data lies: ``$METAPLAN_DATA``, by default ``data`` in the cache."""
    named = os.environ.get("METAPLAN_DATA")
    return Path(named).expanduser().resolve() if named else cache_directory() / "data"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file; other processes that want it wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
