"""How long work tells that it is alive; the command line draws it, a library user may not care."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

__all__ = ["Progress", "SilentProgress", "Tracker"]


class Tracker(Protocol):
    """One piece of countable work."""

    def expect(self, total: int, done: int = 0) -> None:
        """How much work it turned out to be, and how much of it was done earlier."""

    def advance(self, count: int = 1, **facts: float) -> None:
        """Some of it is done; `facts` are numbers worth showing, such as a mean reward."""


class Progress(Protocol):
    """Where progress goes."""

    def say(self, text: str) -> None:
        """One line, kept: a stage begins or ends, something needs attention."""

    def track(self, label: str, total: int, done: int = 0) -> AbstractContextManager[Tracker]:
        """A context in which `total` items are worked off, `done` of them earlier."""


class SilentProgress:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Drops the text."""

    def track(self, label: str, total: int, done: int = 0) -> AbstractContextManager[Tracker]:  # noqa: ARG002
        """Counts nothing."""
        return nullcontext(self)

    def expect(self, total: int, done: int = 0) -> None:
        """Expects nothing."""

    def advance(self, count: int = 1, **facts: float) -> None:
        """Counts nothing."""
