"""One server, as far as sharing the load goes: whose turn it is there, and whether it works."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable

from metaplan.models.served.limit import Limit

__all__ = ["Endpoint"]

_FAILURES = 3
_COLD_S = 5.0  # a server that was away for longer was restarted, perhaps


class Endpoint:
    """Requests get their turn in the order in which they came, as many at a time as pays.

    Args:
        url: Its base URL.
        ceiling: Most requests at a time.
        clock: Monotonic seconds.

    Attributes:
        outstanding: Requests under way or waiting for their turn.
        last: Number of the last request, over all endpoints.
        limit: How many may be under way.
    """

    def __init__(self, url: str, ceiling: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self.outstanding = 0
        self.last = -1
        self.limit = Limit(ceiling)
        self._clock = clock
        self._under_way = 0
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._pause: asyncio.TimerHandle | None = None
        self._failures = 0
        self._failed_at = self._down_since = 0.0
        self._unevenness = 1.0

    # -- whose turn it is

    @property
    def queue(self) -> int:
        """How many requests would wait if there were one more."""
        return max(self.outstanding + 1 - self.limit.value, 0)

    async def enter(self) -> bool:
        """Waits for a turn. False where the endpoint went down or was paused in the meantime."""
        # What hangs at a server that is down must not keep out who finds out whether it is back.
        if self.down or (self._free and not self._waiting):
            self._under_way += 1
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.leave()  # the turn came together with the cancellation
            raise

    def leave(self) -> None:
        """Gives the turn back."""
        self._under_way -= 1
        self._admit()

    @property
    def _free(self) -> bool:
        return not self.paused and self._under_way < self.limit.value

    def _admit(self) -> None:
        while self._waiting and self._free:
            turn = self._waiting.popleft()
            if not turn.done():
                self._under_way += 1
                turn.set_result(True)

    def _send_away(self) -> None:
        """Whoever waits chooses anew."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(False)

    # -- whether it works

    @property
    def paused(self) -> bool:
        """Whether the server asked to be left alone."""
        return self._pause is not None

    @property
    def down(self) -> bool:
        """Whether its last requests all failed."""
        return self._failures >= _FAILURES

    def rests_s(self, rest_s: float) -> float:
        """Seconds until a server that is down is asked again.

        Args:
            rest_s: The longest time between one request that finds out and the next; it is drawn
                from the upper half, so that many clients don't come at once.
        """
        rest_s = self._failed_at + self._unevenness * rest_s - self._clock()
        pause_s = self._pause.when() - asyncio.get_running_loop().time() if self._pause else 0.0
        return max(rest_s, pause_s, 0.0)

    def take(self, number: int) -> None:
        """One request more; if the endpoint is down, the one that finds out."""
        self.outstanding += 1
        self.last = number
        if self.down:
            self._rest()

    def works(self) -> None:
        """It said something sensible, if only a refusal."""
        if self.down and self._clock() - self._down_since > _COLD_S:
            self.limit.restart()
        self._failures = 0

    def answered(self) -> None:
        """A request was answered."""
        self.works()
        self.limit.answered(self._clock(), full=self._under_way >= self.limit.value)
        self._admit()

    def failed(self) -> None:
        """A request failed, and the endpoint is to blame."""
        self._failures += 1
        self._rest()
        if self._failures == _FAILURES:
            self._down_since = self._clock()
        if self.down:
            self._send_away()

    def overloaded(self, sent: float) -> None:
        """The server has too much to do, as a request told that was sent at this time."""
        self.limit.overloaded(self._clock(), sent=sent, under_way=self._under_way)

    def pause(self, pause_s: float) -> None:
        """The server asked to be left alone for so long; whoever waits may go elsewhere."""
        loop = asyncio.get_running_loop()
        until = loop.time() + pause_s
        if self._pause is None or self._pause.when() < until:
            if self._pause is not None:
                self._pause.cancel()
            self._pause = loop.call_at(until, self._resume)
        self._send_away()

    def _resume(self) -> None:
        self._pause = None
        self._admit()

    def _rest(self) -> None:
        self._failed_at = self._clock()
        self._unevenness = random.uniform(0.5, 1.0)  # noqa: S311 - spreads load
