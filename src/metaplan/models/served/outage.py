"""When all servers are gone: whether and how long to wait for one to come back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Outage"]

_FAILURES = 10
_SILENCE_S = 2.0

_log = logging.getLogger(__name__)


class Outage:
    """A time in which no endpoint works, though one has worked before.

    It begins with the tenth failure in a row, or when nothing has been answered for two seconds.
    Where no server has ever answered there may be a wrong address, for which nobody should wait.

    Args:
        name: The model's, for the log.
        patience_s: Longest wait for one outage, in seconds.
        clock: Monotonic seconds.
    """

    def __init__(
        self, name: str, patience_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._patience_s = patience_s
        self._clock = clock
        self._answered_at: float | None = None
        self._failures = 0
        self._since: float | None = None
        self._over = asyncio.Event()

    @property
    def waits(self) -> bool:
        """Whether there is an outage and patience left."""
        return self._since is not None and self._clock() - self._since < self._patience_s

    @property
    def may_be_waited_for(self) -> bool:
        """Whether servers that are gone now, or about to be, are worth another attempt."""
        if self._since is None:
            return self._answered_at is not None and self._patience_s > 0
        return self.waits

    def answered(self, url: str) -> None:
        """An endpoint said something."""
        self._answered_at, self._failures = self._clock(), 0
        if self._since is not None:
            lasted_s = self._answered_at - self._since
            self._since = None
            self._over.set()
            if self._patience_s:
                _log.warning("%s: %s answers again, after %.0f s", self._name, url, lasted_s)

    def failed(self, cause: str) -> None:
        """A request failed as if nobody were there, and no endpoint works."""
        self._failures += 1
        now = self._clock()
        if self._since is not None or self._answered_at is None:
            return
        if self._failures >= _FAILURES or now - self._answered_at >= _SILENCE_S:
            self._since = now
            self._over.clear()
            if self._patience_s:
                waiting = f"waiting up to {self._patience_s:g} s for one to come back"
                _log.warning("%s: no server answers (%s); %s", self._name, cause, waiting)

    async def wait(self, longest_s: float) -> None:
        """Returns when the outage is over, or after a time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._over.wait()
