"""Servers that go away and come back."""

import asyncio
import time

import pytest
from openai_server import FAULTS, OpenAIServer, error

from metaplan.agents import Agent, PromptProfile
from metaplan.core import EpisodeSpec, ModelFault
from metaplan.environments import get_benchmark
from metaplan.episodes import EnvironmentPool, EpisodeRunner, RetryPolicy, RunStore
from metaplan.models import PlanFollower, Sampling

HELLO = [{"role": "user", "content": "hi"}]


@pytest.fixture
def quick_probes(monkeypatch):
    """Whether a server is back is found out many times a second."""
    monkeypatch.setattr("metaplan.models.served.balancing._OUTAGE_REST_S", 0.1)


async def ask(model, count, **options):
    requests = (model.complete(HELLO, Sampling(), session=str(at)) for at in range(count))
    return await asyncio.gather(*requests, **options)


async def test_requests_wait_for_a_server_that_comes_back(serve, client_of, quick_probes, caplog):
    first = serve()
    model = client_of(first, attempts=3)
    await ask(model, 1)
    first.stop()
    waiting = asyncio.ensure_future(ask(model, 40))
    await asyncio.sleep(1.0)
    assert not waiting.done()
    serve(port=first.port)
    completions = await asyncio.wait_for(waiting, 10)
    assert len(completions) == 40
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2, messages
    assert "no server answers (no connection" in messages[0]
    assert "waiting up to 600 s" in messages[0]
    assert f"{first.url} answers again" in messages[1]


async def test_one_request_at_a_time_finds_out(serve, client_of, quick_probes):
    away = error(503, "loading")
    server = serve(fault=lambda number, _: away if number else None)
    model = client_of(server)
    await ask(model, 1)
    waiting = asyncio.ensure_future(ask(model, 30))
    await asyncio.sleep(0.5)
    before = len(server.requests)
    await asyncio.sleep(1.0)
    assert 8 <= len(server.requests) - before <= 21  # every 50 to 100 ms
    server.fault = lambda *_: None
    assert len(await asyncio.wait_for(waiting, 5)) == 30


async def test_a_server_that_hangs_and_recovers_loses_nothing(serve, client_of, quick_probes):
    server = serve(fault=lambda number, _: FAULTS["time-out"] if 0 < number < 60 else None)
    model = client_of(server, timeout_s=0.3, attempts=2)
    await ask(model, 1)
    assert len(await asyncio.wait_for(ask(model, 20), 30)) == 20


async def test_a_server_that_never_answered_is_not_waited_for(client_of, no_waits):
    model = client_of("http://127.0.0.1:9/v1", patience_s=1000)
    begun = time.monotonic()
    with pytest.raises(ModelFault, match="the last of 6 attempts"):
        await model.complete(HELLO, Sampling())
    assert time.monotonic() - begun < 5


async def test_patience_has_an_end_after_which_requests_fail_as_ever(
    serve, client_of, quick_probes, no_waits
):
    server = serve()
    model = client_of(server, patience_s=0.5)
    await ask(model, 1)
    server.stop()
    begun = time.monotonic()
    outcomes = await asyncio.wait_for(ask(model, 20, return_exceptions=True), 10)
    assert 0.5 < time.monotonic() - begun < 5
    assert all(isinstance(outcome, ModelFault) for outcome in outcomes), outcomes
    begun = time.monotonic()
    with pytest.raises(ModelFault, match="no connection"):
        await model.complete(HELLO, Sampling())
    assert time.monotonic() - begun < 1
    serve(port=server.port)
    assert await model.complete(HELLO, Sampling())


async def test_an_outage_of_one_of_two_servers_is_none(serve, client_of, no_waits, caplog):
    dying, living = serve(), serve()
    model = client_of(dying, living)
    await ask(model, 4)
    dying.stop()
    assert len(await asyncio.wait_for(ask(model, 20), 5)) == 20
    assert not caplog.records


async def test_the_server_of_a_run_is_restarted_and_no_episode_is_lost(
    serve, client_of, quick_probes, tmp_path
):
    household = get_benchmark("household")
    server = serve(PlanFollower())
    agent = Agent(
        model=client_of(server, attempts=3),
        sampling=Sampling(max_tokens=128),
        profile=PromptProfile.COMPACT,
    )
    specs = [
        EpisodeSpec(task=task, environment="e", plan=None, placement=None, agent="a")
        for task in household.tasks("train")[:24]
    ]

    async def restart(stopped: OpenAIServer):
        while len(stopped.requests) < 60:
            await asyncio.sleep(0.01)
        stopped.stop()
        await asyncio.sleep(1.5)
        return serve(PlanFollower(), port=stopped.port)

    with RunStore(tmp_path) as store:
        async with EnvironmentPool(1) as pool:
            runner = EpisodeRunner(
                store=store, pool=pool, agent=agent, benchmark=household,
                retry=RetryPolicy(attempts=1), concurrency=12,
            )  # fmt: skip
            restarting = asyncio.ensure_future(restart(server))
            done = await runner.run(specs, purpose="explore")
        assert done.void == ()
        turns = sum(len(episode.turns) for episode in store.episodes(spec.key for spec in specs))
    another = await restarting
    lost = len(server.requests) + len(another.requests) - turns
    assert 0 <= lost <= 12  # those under way when it stopped; no turn was played twice
