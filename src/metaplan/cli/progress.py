"""Progress in the terminal: bars for a person, lines for a log file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from metaplan.cli.consoles import duration
from metaplan.episodes import Tracker

__all__ = ["TerminalProgress"]

_LINE_EVERY_S = 15.0


class TerminalProgress:
    """Draws bars with rate and time left; without a terminal it prints a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        """Prints one line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def track(self, label: str, total: int, done: int = 0) -> Iterator[Tracker]:
        """Counts work; a total of 0 is a total that is not known beforehand."""
        if done:
            self.say(f"{label}: {done} of {total} are there already")
        if not self._console.is_terminal:
            yield _Lines(self, label, total, done)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=self._console, transient=True) as bars:
            task = bars.add_task(label, total=total or None, completed=done, facts="")
            yield _Bar(bars, task)


class _Rate:
    """Counts since the start, with the newest facts in words."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._count = 0

    def words(self, count: int, facts: dict[str, float]) -> str:
        self._count += count
        seconds = max(time.monotonic() - self._started, 1e-6)
        named = " ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in facts.items())
        return f"{self._count / seconds:.1f}/s {named}".strip()

    def left_s(self, remaining: int) -> float | None:
        seconds = time.monotonic() - self._started
        return remaining * seconds / self._count if self._count else None


class _Bar:
    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars = bars
        self._task = task
        self._rate = _Rate()

    def expect(self, total: int, done: int = 0) -> None:
        self._bars.reset(self._task, total=total, completed=done)  # else `done` counts as fast work

    def advance(self, count: int = 1, **facts: float) -> None:
        self._bars.update(self._task, advance=count, facts=self._rate.words(count, facts))


class _Lines:
    def __init__(self, progress: TerminalProgress, label: str, total: int, done: int) -> None:
        self._progress = progress
        self._label = label
        self._total = total
        self._done = done
        self._rate = _Rate()
        self._last = time.monotonic()

    def expect(self, total: int, done: int = 0) -> None:
        self._total, self._done = total, done

    def advance(self, count: int = 1, **facts: float) -> None:
        self._done += count
        words = self._rate.words(count, facts)
        if time.monotonic() - self._last < _LINE_EVERY_S:
            return
        self._last = time.monotonic()
        left = self._rate.left_s(self._total - self._done)
        eta = f", {duration(left)} left" if left is not None and self._total else ""
        self._progress.say(f"{self._label}: {self._done} of {self._total or '?'}, {words}{eta}")
