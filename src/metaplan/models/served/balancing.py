"""Which endpoint gets a request, and when."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager

from metaplan.models.served.endpoint import Endpoint
from metaplan.models.served.faults import RequestFault
from metaplan.models.served.outage import Outage

__all__ = ["Balancer"]

_REST_S = 30.0  # while others work
_OUTAGE_REST_S = 5.0
_HOMES = 20_000
_SKEW = 1.25
_SLACK = 4


class Balancer:
    """Gives each request an endpoint and a turn there.

    A conversation stays with its endpoint, and one with the same opening (task and plan) goes where
    the last one went: the prefix cache knows it. What is new goes where the fewest requests wait;
    if none do, where the fewest are outstanding, of equals in turn. Nobody stays where clearly more
    requests are outstanding than elsewhere: a cache is worth less than an idle server. After three
    failures in a row an endpoint's conversations move, and for half a minute it gets nothing; then
    single requests find out whether it is back. Where no endpoint is usable, all are tried; in an
    outage (`Outage`) requests wait, and one every few seconds finds out.

    Args:
        endpoints: At least one.
        outage: Whether to wait when all are down.
    """

    def __init__(self, endpoints: Sequence[Endpoint], outage: Outage) -> None:
        self.endpoints = tuple(endpoints)
        self.outage = outage
        self._homes: OrderedDict[Hashable, Endpoint] = OrderedDict()
        self._numbers = itertools.count()

    @asynccontextmanager
    async def turn(self, *names: Hashable) -> AsyncIterator[Endpoint]:
        """Waits for a turn at an endpoint; it is given back at the end.

        Args:
            *names: Of what the request belongs to, the closest first: its conversation, its
                opening.
        """
        while True:
            await self._outage_over()
            endpoint = self._choose(names)
            endpoint.take(next(self._numbers))
            try:
                if not await endpoint.enter():
                    continue
                try:
                    yield endpoint
                    return
                finally:
                    endpoint.leave()
            finally:
                endpoint.outstanding -= 1

    @property
    def all_down(self) -> bool:
        """Whether no endpoint works."""
        return all(endpoint.down for endpoint in self.endpoints)

    def answered(self, endpoint: Endpoint) -> None:
        """A request was answered."""
        endpoint.answered()
        self.outage.answered(endpoint.url)

    def faulted(self, endpoint: Endpoint, fault: RequestFault, sent: float) -> None:
        """A request came to nothing.

        Args:
            endpoint: Where.
            fault: How.
            sent: When it was sent, in monotonic seconds.
        """
        if fault.tells_overload:
            endpoint.overloaded(sent)
        if fault.retry_after:
            endpoint.pause(fault.retry_after)
        if not fault.blames_endpoint:
            endpoint.works()
            self.outage.answered(endpoint.url)
            return
        endpoint.failed()
        if fault.tells_absence and self.all_down:
            self.outage.failed(fault.what)

    async def _outage_over(self) -> None:
        """Waits until an endpoint works, or it is time for this request to find out."""
        while self.outage.waits and self.all_down:
            wait_s = min(endpoint.rests_s(_OUTAGE_REST_S) for endpoint in self.endpoints)
            if not wait_s:
                return
            await self.outage.wait(wait_s)

    def _usable(self) -> list[Endpoint]:
        rest_s = _OUTAGE_REST_S if self.outage.waits and self.all_down else _REST_S
        rested = [one for one in self.endpoints if not one.down or not one.rests_s(rest_s)]
        return [one for one in rested if not one.paused] or rested or list(self.endpoints)

    def _choose(self, names: Sequence[Hashable]) -> Endpoint:
        candidates = self._usable()
        chosen = min(candidates, key=lambda one: (one.queue, one.outstanding, one.last))
        home = next((self._homes[name] for name in names if name in self._homes), None)
        if home in candidates and not _crowded(home, chosen):
            chosen = home
        for name in names:
            self._homes[name] = chosen
            self._homes.move_to_end(name)
        while len(self._homes) > _HOMES:
            self._homes.popitem(last=False)
        return chosen


def _crowded(home: Endpoint, other: Endpoint) -> bool:
    """Whether another endpoint has clearly less to do."""
    return (
        home.queue > _SKEW * other.queue + _SLACK
        or home.outstanding > _SKEW * other.outstanding + _SLACK
    )
