"""Which endpoint gets a request."""

import asyncio
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_server import FAULTS, Reply, chat_json, error

from metaplan.core import ModelFault
from metaplan.models import Sampling
from metaplan.models.served.balancing import Balancer
from metaplan.models.served.endpoint import Endpoint
from metaplan.models.served.outage import Outage

HELLO = [{"role": "user", "content": "hi"}]


class Clock:
    """Time that passes when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def balancer_of(count, clock, max_in_flight=1000):
    endpoints = [Endpoint(str(at), max_in_flight, clock) for at in range(count)]
    return Balancer(endpoints, Outage("test", 0.0, clock))


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.none() | st.sampled_from("abc")),
        st.tuples(st.just("answered"), st.integers(0, 100)),
        st.tuples(st.just("failed"), st.integers(0, 100)),
        st.tuples(st.just("time passes"), st.sampled_from([1.0, 10.0, 40.0])),
    ),
    max_size=16,
)


@given(st.integers(1, 3), EVENTS)
def test_conversations_stay_where_it_is_not_crowded_and_load_spreads_over_what_works(count, events):
    async def play():
        clock = Clock()
        balancer = balancer_of(count, clock)
        turns, homes = [], {}
        for event, value in events:
            if event == "start":
                usable = [one for one in balancer.endpoints if not one.down or not one.rests_s(30)]
                usable = usable or balancer.endpoints
                names = () if value is None else (value,)
                before = {one: one.outstanding for one in usable}
                bound = 1.25 * min(before.values()) + 4
                turn = balancer.turn(*names)
                endpoint = await turn.__aenter__()
                turns.append((turn, endpoint))
                home = homes.get(value)
                if home in usable and before[home] <= bound:
                    assert endpoint is home
                else:
                    assert before[endpoint] == min(before.values())
                if names:
                    homes[value] = endpoint
            elif event == "time passes":
                clock.now += value
            elif turns:
                turn, endpoint = turns.pop(value % len(turns))
                (endpoint.works if event == "answered" else endpoint.failed)()
                await turn.__aexit__(None, None, None)
            assert sum(one.outstanding for one in balancer.endpoints) == len(turns)

    asyncio.run(play())


async def fail(balancer, session, times):
    for _ in range(times):
        async with balancer.turn(session) as endpoint:
            endpoint.failed()
    return endpoint


async def take(balancer, *names):
    async with balancer.turn(*names) as endpoint:
        return endpoint


async def test_an_endpoint_that_fails_three_times_loses_its_sessions_and_rests():
    clock = Clock()
    balancer = balancer_of(2, clock)
    ill = await fail(balancer, "s", 3)
    other = await take(balancer, "s")
    assert other is not ill
    assert {await take(balancer) for _ in range(5)} == {other}
    clock.now = 31.0
    tried = [await take(balancer, str(at)) for at in range(6)]
    assert tried.count(ill) == 1  # one request finds out
    ill.works()
    assert {await take(balancer) for _ in range(2)} == {ill, other}
    assert await take(balancer, "s") is other


async def test_an_answer_in_between_keeps_an_endpoint_in_use():
    balancer = balancer_of(2, Clock())
    home = await fail(balancer, "s", 2)
    home.works()
    assert await fail(balancer, "s", 2) is home
    assert await take(balancer, "s") is home


async def test_where_nothing_works_all_are_tried():
    balancer = balancer_of(2, Clock())
    for endpoint in balancer.endpoints:
        for _ in range(3):
            endpoint.failed()
    assert {await take(balancer) for _ in range(4)} == set(balancer.endpoints)


async def test_no_more_requests_than_allowed_are_under_way_at_an_endpoint(serve, client_of):
    server = serve(fault=lambda *_: Reply(body=chat_json(["a"]), delay_s=0.02))
    model = client_of(server, max_in_flight=3)
    await asyncio.gather(*(model.complete(HELLO, Sampling()) for _ in range(30)))
    assert server.most_in_flight == 3


async def test_requests_that_wait_for_an_endpoint_move_when_it_goes_down():
    balancer = balancer_of(2, Clock(), max_in_flight=1)
    reached = asyncio.Event()
    ill = await take(balancer, "s")

    async def slow():
        async with balancer.turn("s"):
            reached.set()
            await asyncio.sleep(0.01)
            for _ in range(3):
                ill.failed()

    first = asyncio.ensure_future(slow())
    await reached.wait()
    waiting = [asyncio.ensure_future(take(balancer, "s")) for _ in range(5)]
    assert ill not in await asyncio.gather(*waiting)
    await first
    assert [one.outstanding for one in balancer.endpoints] == [0, 0]


async def test_homes_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr("metaplan.models.served.balancing._HOMES", 10)
    balancer = balancer_of(2, Clock())
    for at in range(100):
        await take(balancer, str(at))
    assert list(balancer._homes) == [str(at) for at in range(90, 100)]


async def test_sessions_are_spread_and_stay_over_http(serve, client_of):
    servers = [serve(), serve(), serve()]
    model = client_of(*servers)
    for _ in range(4):
        for session in range(9):
            chat = [{"role": "user", "content": f"session {session}"}]
            await model.complete(chat, Sampling(), session=str(session))
    seen = [Counter(body["messages"][0]["content"] for body in one.requests) for one in servers]
    assert [len(sessions) for sessions in seen] == [3, 3, 3]
    assert all(count == 4 for sessions in seen for count in sessions.values())


async def test_conversations_with_the_same_opening_go_where_the_prefix_is_cached(serve, client_of):
    servers = [serve(), serve(), serve()]
    model = client_of(*servers)
    openings = [[{"role": "user", "content": f"task and plan {at}"}] for at in range(9)]
    answer = [{"role": "assistant", "content": "Action: look"}, {"role": "user", "content": "hm"}]
    for episode in range(5):
        for opening in openings:
            for chat in (opening, opening + answer):
                await model.complete(chat, Sampling(), session=f"{opening}{episode}")
    seen = [Counter(body["messages"][0]["content"] for body in one.requests) for one in servers]
    assert [len(one) for one in seen] == [3, 3, 3]
    assert all(count == 10 for one in seen for count in one.values())


async def test_a_system_message_that_all_share_is_no_opening(serve, client_of):
    servers = [serve(), serve()]
    model = client_of(*servers)
    system = {"role": "system", "content": "You play games."}
    for at in range(10):
        await model.complete([system, {"role": "user", "content": str(at)}], Sampling())
    assert [len(server.requests) for server in servers] == [5, 5]


async def test_one_opening_alone_still_fills_all_endpoints(serve, client_of):
    def slowly(*_):
        return Reply(body=chat_json(["a"]), delay_s=0.02)

    servers = [serve(fault=slowly), serve(fault=slowly)]
    model = client_of(*servers)

    async def converse(session):
        for _ in range(10):
            await model.complete(HELLO, Sampling(), session=session)

    await asyncio.gather(*(converse(str(at)) for at in range(60)))
    few, many = sorted(len(server.requests) for server in servers)
    assert few + many == 600
    assert few > 0.35 * 600


async def test_a_conversation_that_had_to_move_stays_there():
    balancer = balancer_of(2, Clock())
    held = [balancer.turn("opening") for _ in range(20)]
    homes = [await turn.__aenter__() for turn in held]
    assert len(set(homes)) == 2
    moved = await take(balancer, "conversation", "opening")
    assert {await take(balancer, "conversation", "opening") for _ in range(5)} == {moved}
    for turn in held:
        await turn.__aexit__(None, None, None)


async def test_all_requests_heed_a_pause_that_one_was_asked_for(serve, client_of):
    times = []

    def once(number, _):
        times.append(time.monotonic())
        return error(429, "slow down", Retry_After="0.5") if number == 0 else None

    model = client_of(serve(fault=once))
    first = asyncio.ensure_future(model.complete(HELLO, Sampling()))
    await asyncio.sleep(0.2)
    await asyncio.gather(first, *(model.complete(HELLO, Sampling()) for _ in range(5)))
    assert min(times[1:]) - times[0] > 0.45


@pytest.mark.parametrize("name", ["500", "cut connection", "empty body", "garbage"])
async def test_a_dead_endpoint_costs_no_answer_while_another_lives(
    serve, client_of, no_waits, name
):
    dead, alive = serve(fault=lambda *_: FAULTS[name]), serve()
    model = client_of(dead, alive)
    for at in range(20):
        assert await model.complete(HELLO, Sampling(), session=str(at % 4))
    assert len(dead.requests) <= 3
    assert len(alive.requests) == 20


async def test_servers_that_all_hang_are_not_waited_for_again_and_again(serve, client_of, no_waits):
    servers = [serve(fault=lambda *_: FAULTS["time-out"]) for _ in range(2)]
    model = client_of(*servers, timeout_s=0.2)
    requests = [model.complete(HELLO, Sampling(), session=str(at)) for at in range(12)]
    outcomes = await asyncio.gather(*requests, return_exceptions=True)
    assert all(isinstance(outcome, ModelFault) for outcome in outcomes)
    assert sum(len(server.requests) for server in servers) < 2 * 12  # of 6 attempts each


async def test_a_limit_of_rate_moves_nobody(serve, client_of, no_waits):
    limited = serve(fault=lambda number, _: error(429, "slow down") if number % 5 else None)
    other = serve()
    model = client_of(limited, other)
    for _ in range(3):
        await model.complete(HELLO, Sampling(), session="s")
    assert len(limited.requests) > 3
    assert not other.requests


async def test_a_cancelled_request_gives_its_turn_back(serve, client_of):
    server = serve(fault=lambda number, _: FAULTS["time-out"] if number < 2 else None)
    model = client_of(server, max_in_flight=2)
    hanging = [asyncio.ensure_future(model.complete(HELLO, Sampling())) for _ in range(2)]
    while len(server.requests) < 2:
        await asyncio.sleep(0.01)
    for request in hanging:
        request.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    assert await asyncio.wait_for(model.complete(HELLO, Sampling()), 5)


async def test_the_first_fault_of_several_completions_ends_the_others(serve, client_of):
    server = serve(most=1, fault=lambda number, _: error(400, "no more") if number else None)
    with pytest.raises(ModelFault, match="no more"):
        await client_of(server).complete(HELLO, Sampling(), n=4)
    await asyncio.sleep(0.05)
    assert len(server.requests) <= 4


@pytest.mark.parametrize(("away_s", "expected"), [(1.0, 216), (60.0, 16)])
def test_a_server_that_was_away_for_long_begins_with_few_requests(away_s, expected):
    clock = Clock()
    endpoint = Endpoint("a", 1000, clock)
    for _ in range(200):
        endpoint.limit.answered(clock.now, full=True)
    assert endpoint.limit.value == 216
    for _ in range(3):
        endpoint.failed()
    clock.now += away_s
    endpoint.works()
    assert endpoint.limit.value == expected
