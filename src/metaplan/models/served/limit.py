"""How many requests at a time an endpoint is given: as many as raise its throughput.

What a server can take is not known, and changes. A batching server answers more slowly the more it
has to do, and still gets more done; one that is full lets the rest wait, or refuses it. So latency
alone says nothing. What is watched is the throughput: more requests under way are worth having as
long as more are answered per second.
"""

from __future__ import annotations

import math
from enum import Enum, auto

__all__ = ["Limit"]

_FIRST = 16
_STARTING_PAYS = 1.15  # at the start the limit doubles in a round trip: what makes it go on
_UP, _DOWN = 2.0, 0.8  # trying more costs nothing
_PAYS = 0.06  # 1% more requests under way are worth it if they bring 0.06% more answers
_SAMPLE, _SAMPLE_TRIPS = 100, 2  # answers that a throughput is measured by, and round trips
_INSTANT_S = 1e-6  # no round takes less
_IDLE = 0.1  # of a round's answers: more say that there was too little to do
_MOST_ROUNDS = 8  # of holding a limit between trials, once several were in vain
_SHRINK, _LARGEST_SHRINK = 0.04, 0.5
_LEAST = 8  # complaints don't shrink further: so few may come from anything; throughput decides
# Complaints at once (at least so many, of those under way such a share) shrink the limit; such a
# share of the answers may be complaints without any overload.
_COMPLAINTS, _COMPLAINTS_AT_ONCE, _COMPLAINTS_BORNE = 4.0, 0.05, 0.15


class _Phase(Enum):
    START = auto()
    """The limit doubles with each round trip."""
    HOLD = auto()
    """The limit stays, and its throughput is measured."""
    TRIAL = auto()
    """Another limit is tried, higher or lower."""


class Limit:
    """The number of requests that one endpoint may have under way; it has no clock of its own.

    It starts low and doubles with each round trip until that brings no more answers per second.
    From then on higher and lower limits are tried by turns, and kept if they are better: a higher
    one if it raises the throughput, a lower one if it costs none. Whatever says that the server has
    too much to do, more than now and then, shrinks the limit, once for all requests that were under
    way together: a little at first, for a server that refuses is found to be full at no great cost;
    more and more while it goes on. While there are fewer requests than the limit allows, nothing is
    learnt, and it stays.

    Args:
        ceiling: It is never higher.
    """

    def __init__(self, ceiling: int) -> None:
        self._ceiling = float(ceiling)
        self.restart()

    def restart(self) -> None:
        """Begins anew, for a server that was away."""
        self._value = min(float(_FIRST), self._ceiling)
        self._base = self._value  # what trials are compared with …
        self._rate = 0.0  # … and its answers per second
        self._upwards = True
        self._rounds, self._most_rounds = 0, 1
        self._shrink, self._shrunk_at, self._answers_since = _SHRINK, -math.inf, math.inf
        self._complaints = 0.0
        self._begin(_Phase.START, self._ceiling)

    @property
    def value(self) -> int:
        """Most requests at a time, at least 1."""
        return int(self._value)

    def answered(self, now: float, *, full: bool) -> None:
        """A request was answered.

        Args:
            now: Monotonic seconds.
            full: Whether as many requests as allowed were under way.
        """
        self._answers_since += 1
        self._complaints = max(self._complaints - _COMPLAINTS_BORNE, 0.0)
        if full and self._value < self._goal:
            self._value = min(self._value + 1, self._goal)
        rate = self._round.add(now, full=full)
        if rate is not None:
            self._judge(rate)

    def overloaded(self, now: float, *, sent: float, under_way: int) -> None:
        """A request was refused, or timed out, because the server has too much to do.

        Args:
            now: Monotonic seconds.
            sent: When the request was sent.
            under_way: Requests under way, this one included.
        """
        if sent < self._shrunk_at:
            return
        self._complaints += 1
        if self._complaints < max(_COMPLAINTS, _COMPLAINTS_AT_ONCE * self._value):
            return
        again = self._answers_since < self._value
        self._shrink = min(2 * self._shrink, _LARGEST_SHRINK) if again else _SHRINK
        self._shrunk_at, self._answers_since, self._complaints = now, 0, 0.0
        least = min(_LEAST, self._value)
        self._hold(max(min(self._value, under_way) * (1 - self._shrink), least))

    def _judge(self, rate: float) -> None:
        """A round with so many answers per second is over."""
        match self._phase:
            case _Phase.START if rate >= _STARTING_PAYS * self._rate and self._base < self._value:
                self._base, self._rate = self._value, rate
                self._begin(_Phase.START, self._ceiling)
            case _Phase.START:
                self._upwards = rate > (1 + _PAYS) * self._rate
                self._hold(self._base)
            case _Phase.HOLD:
                self._rounds += 1
                self._rate += (rate - self._rate) / self._rounds
                if self._rounds < self._most_rounds:
                    self._begin(_Phase.HOLD, self._value)
                else:
                    self._try()
            case _Phase.TRIAL:
                gain = math.log(rate / self._rate) / math.log(self._value / self._base)
                if (gain > _PAYS) == self._upwards:
                    self._base, self._rate, self._most_rounds = self._value, rate, 1
                    self._try()
                else:
                    self._turn_round()

    def _hold(self, value: float) -> None:
        self._value = self._base = value
        self._rounds = 0
        self._begin(_Phase.HOLD, value)

    def _try(self) -> None:
        factor = _UP if self._upwards else _DOWN
        goal = min(max(self._base * factor, 1.0), self._ceiling)
        if int(goal) == int(self._base):
            self._turn_round()
        else:
            self._value = min(self._value, goal)
            self._begin(_Phase.TRIAL, goal)

    def _turn_round(self) -> None:
        self._upwards = not self._upwards
        self._most_rounds = min(2 * self._most_rounds, _MOST_ROUNDS)
        self._hold(self._base)

    def _begin(self, phase: _Phase, goal: float) -> None:
        """Begins a round in which the limit goes to `goal`: down at once, up by one an answer."""
        self._phase, self._goal = phase, goal
        if phase is _Phase.START:
            self._round = _Round(settling=0, sample=self.value)
        else:
            self._round = _Round(int(goal), max(_SAMPLE_TRIPS * int(goal), _SAMPLE))


class _Round:
    """Counts answers: some until a limit has its effect, then those by which it is measured."""

    def __init__(self, settling: int, sample: int) -> None:
        self._left = settling
        self._sample = sample
        self._since: float | None = None
        self._idle = 0

    def add(self, now: float, *, full: bool) -> float | None:
        """Counts one; answers per second at the round's end.

        A round with too little to do for the server begins anew.
        """
        self._idle += not full
        self._left -= 1
        if self._left > 0:
            return None
        since, idle = self._since, self._idle
        if since is not None and now - since > _INSTANT_S and idle <= _IDLE * self._sample:
            return self._sample / (now - since)
        self._since, self._idle, self._left = now, 0, self._sample
        return None
