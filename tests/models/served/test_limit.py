"""How many requests at a time: against simulated servers, in simulated time."""

import heapq
import itertools
import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.models.served.limit import Limit

SHORTEST_S, LONGEST_S = 0.3, 1.0
MEAN_S = (SHORTEST_S + LONGEST_S) / 2


class Queueing:
    """Serves so many at a time; the others wait."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.busy = 0
        self.waiting = deque()

    def arrive(self, request, dice):
        """Requests that begin now, with their latency and whether they will be answered."""
        self.waiting.append(request)
        return self._begin(dice)

    def leave(self, dice):
        self.busy -= 1
        return self._begin(dice)

    def _begin(self, dice):
        while self.waiting and self.busy < self.capacity:
            self.busy += 1
            yield self.waiting.popleft(), dice.uniform(SHORTEST_S, LONGEST_S), True

    def possible(self, _ceiling):
        return self.capacity / MEAN_S


class Refusing(Queueing):
    """Serves so many at a time; the others are refused at once."""

    def arrive(self, request, dice):
        if self.busy < self.capacity:
            yield from super().arrive(request, dice)
        else:
            yield request, 0.005, False


class Batching(Queueing):
    """Serves all, each the slower the more there are: twice as slow at `capacity`."""

    def _begin(self, dice):
        while self.waiting:
            self.busy += 1
            alone_s = dice.uniform(SHORTEST_S, LONGEST_S)
            yield self.waiting.popleft(), alone_s * (1 + self.busy / self.capacity), True

    def possible(self, ceiling):
        return ceiling / (MEAN_S * (1 + ceiling / self.capacity))


@dataclass
class Log:
    """When requests were answered or refused, and the limit at each answer."""

    answers: list = field(default_factory=list)
    refusals: list = field(default_factory=list)
    limits: list = field(default_factory=list)

    def rate(self, begin, end):
        return sum(begin <= at < end for at in self.answers) / (end - begin)

    def mean_limit(self, begin, end):
        values = [value for at, value in self.limits if begin <= at < end]
        return sum(values) / len(values)


def simulate(server, *, until, ceiling=512, clients=10_000, changes=(), faulty=0.0, seed=0):
    """So many clients ask a server again and again.

    Changes are ``(time, capacity)``; a share of the answers is faulty.
    """
    dice, limit, log = random.Random(seed), Limit(ceiling), Log()
    events, numbers, changes = [], itertools.count(), list(changes)
    now, under_way = 0.0, 0

    def schedule(beginning):
        for sent, latency, served in beginning:
            heapq.heappush(events, (now + latency, next(numbers), sent, served))

    while now < until:
        while under_way < min(limit.value, clients):
            under_way += 1
            schedule(server.arrive(now, dice))
        now, _, sent, served = heapq.heappop(events)
        if changes and now >= changes[0][0]:
            server.capacity = changes.pop(0)[1]
        if served:
            schedule(server.leave(dice))
        if served and dice.random() >= faulty:
            limit.answered(now, full=under_way >= limit.value)
            log.answers.append(now)
            log.limits.append((now, limit.value))
        else:
            limit.overloaded(now, sent=sent, under_way=under_way)
            log.refusals.append(now)
        under_way -= 1
    return log


@pytest.mark.parametrize("kind", [Queueing, Refusing])
@pytest.mark.parametrize("capacity", [16, 64, 200])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_server_of_fixed_capacity_is_used_and_not_overrun(kind, capacity, seed):
    server = kind(capacity)
    log = simulate(server, until=80, seed=seed)
    assert log.rate(20, 80) >= 0.95 * server.possible(512)
    assert log.mean_limit(20, 80) <= max(3 * capacity, 120)  # few answers a second tell little
    if kind is Refusing:
        assert sum(at >= 20 for at in log.refusals) <= 0.05 * len(log.answers)


@pytest.mark.parametrize("capacity", [64, 200, 1000])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_batching_server_is_given_more_although_it_answers_more_slowly(capacity, seed):
    server = Batching(capacity)
    log = simulate(server, until=80, seed=seed)
    assert log.rate(40, 80) >= 0.95 * server.possible(512)
    assert log.limits[-1][1] > 200


def test_hundreds_are_under_way_within_a_few_seconds():
    log = simulate(Queueing(2000), until=4)
    assert next(at for at, value in log.limits if value >= 256) < 3.0
    assert log.limits[-1][1] == 512


@pytest.mark.parametrize("kind", [Queueing, Refusing])
@pytest.mark.parametrize(("before", "after"), [(40, 160), (160, 40)])
def test_a_change_of_capacity_is_found_out(kind, before, after):
    log = simulate(kind(before), until=140, changes=[(40, after)])
    assert log.rate(20, 40) >= 0.95 * before / MEAN_S
    assert log.rate(80, 140) >= 0.95 * after / MEAN_S


def test_too_little_to_do_teaches_nothing():
    log = simulate(Queueing(1000), until=60, clients=12)
    assert {value for _, value in log.limits} == {16}
    assert log.rate(5, 60) == pytest.approx(12 / MEAN_S, rel=0.05)


def test_faults_now_and_then_take_no_throughput():
    log = simulate(Queueing(200), until=80, faulty=0.1)
    assert log.rate(20, 80) >= 0.95 * 0.9 * 200 / MEAN_S


def test_requests_that_were_under_way_together_shrink_the_limit_once():
    limit = Limit(100)
    for _ in range(50):
        limit.overloaded(10.0, sent=9.0, under_way=16)
    assert limit.value == 15


def test_what_goes_on_shrinks_the_limit_more_and_more_but_not_to_nothing():
    limit, values = Limit(100), []
    for at in range(30):
        for _ in range(4):
            limit.overloaded(10.0 + at, sent=9.5 + at, under_way=limit.value)
        values.append(limit.value)
    assert values[:4] == [15, 13, 10, 8]
    assert values[-1] == 8


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["full", "idle", "overloaded", "restart"]),
        st.floats(0.0, 5.0),
        st.integers(1, 300),
    ),
    max_size=60,
)


@given(st.integers(1, 600), EVENTS)
def test_the_limit_is_never_below_one_nor_above_its_ceiling(ceiling, events):
    limit, now = Limit(ceiling), 0.0
    for event, seconds, times in events:
        for _ in range(times):
            now += seconds / times
            if event == "restart":
                limit.restart()
            elif event == "overloaded":
                limit.overloaded(now, sent=now - seconds, under_way=limit.value)
            else:
                limit.answered(now, full=event == "full")
            assert 1 <= limit.value <= ceiling
