"""Which endpoint gets a request."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

__all__ = ["Balancer", "Endpoint"]

_FAILURES = 3
_REST_S = 30.0
_SESSIONS = 10_000


class Endpoint:
    """One server, as far as sharing the load goes.

    Args:
        url: Its base URL.
        max_in_flight: Most requests at a time.
        clock: Monotonic seconds.

    Attributes:
        outstanding: Requests under way or waiting for their turn.
        last: Number of the last request, over all endpoints.
    """

    def __init__(
        self, url: str, max_in_flight: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.url = url
        self.outstanding = 0
        self.last = -1
        self.turns = asyncio.Semaphore(max_in_flight)
        self._clock = clock
        self._failures = 0
        self._rests_until = 0.0

    @property
    def down(self) -> bool:
        """Whether its last requests all failed."""
        return self._failures >= _FAILURES

    @property
    def usable(self) -> bool:
        """Whether it works, or has rested long enough for one request to find out."""
        return not self.down or self._clock() >= self._rests_until

    def take(self, number: int) -> None:
        """One request more; if the endpoint is down, the one that finds out."""
        self.outstanding += 1
        self.last = number
        if self.down:
            self._rests_until = self._clock() + _REST_S

    def succeeded(self) -> None:
        """A request was answered."""
        self._failures = 0

    def failed(self) -> None:
        """A request failed, and the endpoint is to blame."""
        self._failures += 1
        self._rests_until = self._clock() + _REST_S


class Balancer:
    """Gives each request an endpoint.

    A session stays with its endpoint, whose prefix cache knows the conversation, as long as that
    works: after three failures in a row its sessions move, and for half a minute it gets nothing;
    then single requests find out whether it is back. A new session, or a request without one, goes
    where the fewest requests are outstanding, of equals in turn. Where no endpoint is usable, all
    are tried.

    Args:
        endpoints: At least one.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.endpoints = tuple(endpoints)
        self._homes: OrderedDict[str, Endpoint] = OrderedDict()
        self._numbers = itertools.count()

    @asynccontextmanager
    async def turn(self, session: str | None) -> AsyncIterator[Endpoint]:
        """Waits for a turn at an endpoint; it is given back at the end."""
        while True:
            endpoint = self._choose(session)
            was_down = endpoint.down
            endpoint.take(next(self._numbers))
            try:
                async with endpoint.turns:
                    # It may have gone down while this request waited for its turn.
                    if was_down or endpoint.usable or not self._usable():
                        yield endpoint
                        return
            finally:
                endpoint.outstanding -= 1

    @property
    def all_down(self) -> bool:
        """Whether no endpoint works."""
        return all(endpoint.down for endpoint in self.endpoints)

    def _usable(self) -> list[Endpoint]:
        return [endpoint for endpoint in self.endpoints if endpoint.usable]

    def _choose(self, session: str | None) -> Endpoint:
        candidates = self._usable() or list(self.endpoints)
        home = None if session is None else self._homes.get(session)
        if home not in candidates:
            home = min(candidates, key=lambda one: (one.outstanding, one.last))
        if session is not None:
            self._homes[session] = home
            self._homes.move_to_end(session)
            if len(self._homes) > _SESSIONS:
                self._homes.popitem(last=False)
        return home
