"""Prompts and examples that lie as data files in a benchmark's package."""

from __future__ import annotations

from functools import cache
from importlib import resources

__all__ = ["packaged_text"]


@cache
def packaged_text(package: str, folder: str, name: str) -> str:
    """The text of ``<package>/<folder>/<name>.txt``, without blanks around it."""
    return (resources.files(package) / folder / f"{name}.txt").read_text("utf-8").strip()
