"""Faults outside episodes: there is nothing to void, so they stop the run, with one message."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metaplan.core import (
    ContextLimitError,
    EnvironmentFault,
    MetaplanError,
    ModelFault,
    RunError,
)

__all__ = ["full_disk_named", "naming"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Libraries that write weights raise errors of their own.
_FULL_WORDS = ("No space left on device", "Disk quota exceeded", "PytorchStreamWriter failed")


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


@contextmanager
def full_disk_named(directory: str | Path) -> Iterator[None]:
    """Says that the disk is full, whatever the library raises that could not write.

    Args:
        directory: Where all is written.

    Raises:
        RunError: In place of its error.
    """
    try:
        yield
    except MetaplanError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number not in _FULL and not any(words in str(error) for words in _FULL_WORDS):
            raise
        raise RunError(
            f"can't write in {directory}, the disk is full: {error}. What is finished is saved; "
            f"free some disk space, then give the same command again"
        ) from None
