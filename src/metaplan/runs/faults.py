"""Faults outside episodes: there is nothing to void, so they stop the run, with one message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from metaplan.core import ContextLimitError, EnvironmentFault, ModelFault, RunError

__all__ = ["naming"]


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Says which part of the work a fault stopped.

    Args:
        what: For example ``no plan could be drawn for household/train/00001-…``.

    Raises:
        RunError: In place of a fault.
    """
    try:
        yield
    except (EnvironmentFault, ModelFault, ContextLimitError) as fault:
        raise RunError(
            f"{what}: {fault}. What is finished is saved; put the cause right and run the same "
            f"command again to resume"
        ) from None
