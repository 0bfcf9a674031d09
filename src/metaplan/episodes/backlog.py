"""The episodes that are still to be played, and which is the next."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from metaplan.core import Episode, EpisodeSpec, StopReason
from metaplan.episodes.retry import RetryPolicy

__all__ = ["Attempt", "Backlog"]

_CANCELLED_PER_FAULT = 10  # an episode that is cut off so often is likely to be the cause


@dataclass(frozen=True)
class Attempt:
    """One try of an episode.

    Attributes:
        spec: The episode.
        faults: Earlier tries that were void.
        cancelled: Earlier tries that were cut off through no fault of the episode's.
    """

    spec: EpisodeSpec
    faults: int = 0
    cancelled: int = 0


class Backlog:
    """Hands out planned episodes in their order, and void ones again after a wait.

    One that has waited comes before all that were never tried: no task is left behind. A wait
    keeps nobody busy, so that episodes that break don't slow down the others.

    Args:
        specs: What is to be played.
        retry: How often, and after how long, a void episode is tried again.

    Attributes:
        void: Keys of episodes that came to nothing in all attempts.
    """

    def __init__(self, specs: Iterable[EpisodeSpec], retry: RetryPolicy) -> None:
        self.void: list[str] = []
        self._retry = retry
        self._fresh = deque(Attempt(spec) for spec in specs)
        self._again: list[tuple[float, int, Attempt]] = []  # when it is due, order, what
        self._order = itertools.count()
        self._unsettled = len(self._fresh)
        self._stopped = False
        self._changed = asyncio.Event()

    @property
    def unsettled(self) -> int:
        """Episodes that neither count nor are void for good: waiting, or under way."""
        return self._unsettled

    async def next(self) -> Attempt | None:
        """The next try, when there is one; None when nothing is left to do."""
        loop = asyncio.get_running_loop()
        while self._unsettled and not self._stopped:
            due = self._again[0][0] if self._again else None
            if due is not None and due <= loop.time():
                return heapq.heappop(self._again)[2]
            if self._fresh:
                return self._fresh.popleft()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):  # one that is under way may come back
                    await self._changed.wait()
        return None

    def settle(self, attempt: Attempt, episode: Episode) -> None:
        """Takes note of what a try came to."""
        if not episode.stop_reason.is_void:
            self._close()
            return
        if episode.stop_reason is StopReason.CANCELLED:
            after = Attempt(attempt.spec, attempt.faults, attempt.cancelled + 1)
        else:
            after = Attempt(attempt.spec, attempt.faults + 1, attempt.cancelled)
        tries = after.faults + after.cancelled // _CANCELLED_PER_FAULT
        if tries >= self._retry.attempts:
            self.void.append(attempt.spec.key)
            self._close()
            return
        wait_s = self._retry.wait_s(after.faults) if after.faults > attempt.faults else 0.0
        due = asyncio.get_running_loop().time() + wait_s
        heapq.heappush(self._again, (due, next(self._order), after))
        self._tell()

    def stop(self) -> None:
        """Hands out nothing more."""
        self._stopped = True
        self._tell()

    def _close(self) -> None:
        self._unsettled -= 1
        if not self._unsettled:
            self._tell()

    def _tell(self) -> None:
        """Wakes all who wait for the next try."""
        self._changed.set()
        self._changed = asyncio.Event()
