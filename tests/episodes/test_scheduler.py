"""Planned episodes: each until it counts, none twice, whatever breaks in between."""

import asyncio
import itertools
import os
import signal
import time

import pytest

from metaplan.agents import Agent, PromptProfile
from metaplan.core import EpisodeSpec, MetaPlan, ModelFault, Placement, RunError, StopReason, Task
from metaplan.environments import get_benchmark
from metaplan.episodes import EnvironmentPool, EpisodeRunner, RetryPolicy, RunStore
from metaplan.models import PlanFollower, Sampling, ScriptedModel

PLANS = (None, MetaPlan(steps=("Look at likely places for the object.", "Take it away.")))
AT_ONCE = RetryPolicy(attempts=3, first_wait_s=0.0)


def agent_of(model) -> Agent:
    sampling = Sampling(temperature=0.7, max_tokens=64)
    return Agent(model=model, sampling=sampling, profile=PromptProfile.COMPACT)


def specs_of(agent, tasks, plans=PLANS, repetitions=2):
    return [
        EpisodeSpec(
            task=task,
            environment="e",
            plan=plan,
            placement=Placement.INSTRUCTION if plan else None,
            agent=agent.fingerprint,
            repetition=repetition,
        )
        for task in tasks
        for plan in plans
        for repetition in range(repetitions)
    ]


def household_specs(agent, tasks=4):
    return specs_of(agent, get_benchmark("household").tasks("train")[:tasks])


def shaky_specs(agent, tasks=4, **source):
    found = [
        Task(
            key=f"shaky/all/{number}",
            benchmark="shaky",
            task_set="all",
            task_type="one",
            source=source,
        )
        for number in range(tasks)
    ]
    return specs_of(agent, found, plans=[None], repetitions=1)


async def run(store, agent, specs, *, benchmark, retry=AT_ONCE, workers=1, concurrency=4, **more):
    async with EnvironmentPool(workers, timeout_s=30) as pool:
        runner = EpisodeRunner(
            store=store,
            pool=pool,
            agent=agent,
            benchmark=get_benchmark(benchmark),
            retry=retry,
            concurrency=concurrency,
        )
        return await runner.run(specs, purpose="explore", **more)


def outcome(store, specs):
    episodes = store.episodes(spec.key for spec in specs)
    return [episode.model_dump(exclude={"duration_s"}) for episode in episodes]


async def test_exactly_the_planned_episodes_are_played_and_equal_ones_once(tmp_path):
    agent = agent_of(PlanFollower())
    specs = household_specs(agent, tasks=2)
    seen = []
    with RunStore(tmp_path) as store:
        done = await run(
            store, agent, specs + specs[:3], benchmark="household", on_episode=seen.append
        )
        assert (done.planned, done.resumed, done.void) == (8, 0, ())
        assert store.finished_keys() == {spec.key for spec in specs}
        assert sorted(episode.key for episode in seen) == sorted(store.finished_keys())


async def test_only_what_the_store_lacks_is_played(tmp_path):
    agent = agent_of(PlanFollower())
    specs = household_specs(agent, tasks=2)
    seen = []
    with RunStore(tmp_path) as store:
        await run(store, agent, specs[:3], benchmark="household")
        done = await run(store, agent, specs, benchmark="household", on_episode=seen.append)
    assert done.resumed == 3
    assert sorted(episode.key for episode in seen) == sorted(spec.key for spec in specs[3:])


async def test_results_depend_on_neither_workers_nor_concurrency(tmp_path):
    agent = agent_of(PlanFollower())
    specs = household_specs(agent)
    results = []
    for workers, concurrency in [(1, 1), (2, 16)]:
        with RunStore(tmp_path / str(workers)) as store:
            await run(
                store,
                agent,
                specs,
                benchmark="household",
                workers=workers,
                concurrency=concurrency,
            )
            results.append(outcome(store, specs))
    assert results[0] == results[1]
    assert len({episode["reward"] for episode in results[0]}) == 2  # there is something to compare


async def test_no_more_episodes_are_in_flight_than_allowed(tmp_path, shaky_installed):
    flying, most = 0, 0

    class Counting(ScriptedModel):
        async def complete(self, *arguments, **options):
            nonlocal flying, most
            flying += 1
            most = max(most, flying)
            await asyncio.sleep(0.2)
            flying -= 1
            return await super().complete(*arguments, **options)

    agent = agent_of(Counting(lambda _: "Action: win"))
    with RunStore(tmp_path) as store:
        await run(store, agent, shaky_specs(agent), benchmark="shaky", concurrency=2)
    assert most == 2


async def test_a_void_episode_is_tried_again_until_it_counts(tmp_path, shaky_installed):
    agent = agent_of(ScriptedModel(lambda _: "Action: win"))
    specs = shaky_specs(agent, tasks=1, faults="2", log=str(tmp_path / "log"))
    seen = []
    with RunStore(tmp_path) as store:
        done = await run(store, agent, specs, benchmark="shaky", on_episode=seen.append)
        (episode,) = store.episodes([specs[0].key])
        assert done.void == ()
        assert [e.stop_reason.is_void for e in seen] == [True, True, False]
        assert episode.reward == 1.0
        assert store.status().episodes[0].reward == 1.0  # the void ones are in no mean
        assert sum(store.void_causes().values()) == 2


async def test_an_episode_that_never_counts_is_reported_and_tried_by_the_next_run(
    tmp_path, shaky_installed
):
    agent = agent_of(ScriptedModel(lambda _: "Action: win"))
    good = shaky_specs(agent, tasks=1)
    bad = shaky_specs(agent, tasks=2, faults="4", log=str(tmp_path / "log"))[1:]
    with RunStore(tmp_path) as store:
        done = await run(store, agent, good + bad, benchmark="shaky")
        assert done.void == (bad[0].key,)
        assert store.finished_keys() == {good[0].key}
        again = await run(store, agent, good + bad, benchmark="shaky")
        assert again.void == ()
        assert store.finished_keys() == {good[0].key, bad[0].key}


async def test_waits_between_attempts_grow_up_to_a_limit(tmp_path, shaky_installed):
    policy = RetryPolicy(attempts=4, first_wait_s=0.1, longest_wait_s=0.25)
    assert [policy.wait_s(attempt) for attempt in (1, 2, 3, 9)] == [0.1, 0.2, 0.25, 0.25]
    agent = agent_of(ScriptedModel(lambda _: "Action: win"))
    specs = shaky_specs(agent, tasks=1, faults="2", log=str(tmp_path / "log"))
    times = []
    with RunStore(tmp_path) as store:
        await run(
            store,
            agent,
            specs,
            benchmark="shaky",
            retry=policy,
            on_episode=lambda _: times.append(time.monotonic()),
        )
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[0] >= 0.1
    assert gaps[1] >= 0.2


async def test_an_outage_stops_the_run_with_its_cause_and_keeps_what_is_finished(
    tmp_path, shaky_installed
):
    answers = itertools.count()

    def model(_):
        if next(answers) >= 2:
            raise ModelFault("connection refused")
        return "Action: win"

    agent = agent_of(ScriptedModel(model))
    retry = RetryPolicy(attempts=100, first_wait_s=0.0, give_up_after=5)
    attempts = []
    with RunStore(tmp_path) as store:
        with pytest.raises(RunError, match=r"connection refused.*same command again") as error:
            await run(
                store,
                agent,
                shaky_specs(agent),
                benchmark="shaky",
                retry=retry,
                concurrency=2,
                on_episode=attempts.append,
            )
        assert len(store.finished_keys()) == 2
    assert "7 attempts in a row" in str(error.value)  # 5, and the 2 in flight
    assert [e.stop_reason for e in attempts].count(StopReason.MODEL_ERROR) == 7


async def test_a_run_in_which_nothing_works_does_not_go_on_without_numbers(
    tmp_path, shaky_installed
):
    agent = agent_of(ScriptedModel([ModelFault("no such model")] * 9))
    with (
        RunStore(tmp_path) as store,
        pytest.raises(RunError, match=r"all 2 episodes came to nothing.*no such model"),
    ):
        await run(store, agent, shaky_specs(agent, tasks=2), benchmark="shaky")


async def test_a_worker_that_is_killed_again_and_again_costs_no_episode(tmp_path):
    agent = agent_of(PlanFollower())
    specs = household_specs(agent)
    with RunStore(tmp_path / "calm") as store:
        await run(store, agent, specs, benchmark="household")
        expected = outcome(store, specs)
    with RunStore(tmp_path / "killed") as store:
        async with EnvironmentPool(2, timeout_s=30) as pool:
            runner = EpisodeRunner(
                store=store,
                pool=pool,
                agent=agent,
                benchmark=get_benchmark("household"),
                retry=RetryPolicy(attempts=20, first_wait_s=0.0),
                concurrency=4,
            )
            kills = 0

            def kill_one(episode):
                nonlocal kills
                if not episode.stop_reason.is_void and kills < 3:
                    kills += 1
                    os.kill(pool.processes[0], signal.SIGKILL)

            done = await runner.run(specs, purpose="explore", on_episode=kill_one)
            assert pool.restarts >= 2
        assert done.void == ()
        assert outcome(store, specs) == expected
        assert "worker died (signal SIGKILL)" in " ".join(store.void_causes())


class Waiting(ScriptedModel):
    """Answers each request when the test lets it."""

    def __init__(self):
        super().__init__(lambda _: "Action: win")
        self.asked = 0
        self.let = asyncio.Event()

    async def complete(self, *arguments, **options):
        self.asked += 1
        await self.let.wait()
        return await super().complete(*arguments, **options)


@pytest.mark.parametrize(("finishes", "grace_s", "left"), [(True, 30.0, 2), (False, 0.2, 4)])
async def test_asked_to_stop_no_episode_begins_and_those_in_flight_get_their_grace(
    tmp_path, shaky_installed, finishes, grace_s, left
):
    model = Waiting()
    agent = agent_of(model)
    specs = shaky_specs(agent)
    stopping = asyncio.Event()

    async def interrupt():
        while model.asked < 2:
            await asyncio.sleep(0.01)
        stopping.set()
        await asyncio.sleep(0.05)
        if finishes:
            model.let.set()

    with RunStore(tmp_path) as store:
        interrupting = asyncio.create_task(interrupt())
        async with EnvironmentPool(1) as pool:
            runner = EpisodeRunner(
                store=store,
                pool=pool,
                agent=agent,
                benchmark=get_benchmark("shaky"),
                retry=AT_ONCE,
                concurrency=2,
                grace_s=grace_s,
            )
            done = await runner.run(specs, purpose="explore", stopping=stopping)
            await interrupting
            assert pool.environments == 0
        assert (done.left, done.void) == (left, ())
        assert len(store.finished_keys()) == 4 - left
        assert model.asked == 2
        assert store.void_causes() == {}  # what was cut off is neither finished nor void


async def test_episodes_that_share_a_worker_with_one_that_kills_it_are_played_again(
    tmp_path, shaky_installed
):
    """The killer uses up its attempts; its neighbours lose none, however often they are hit."""
    turns = {}

    def model(messages):
        killer = "shaky/all/0" in messages[0]["content"]
        if killer:
            return "Action: crash"
        turns[messages[0]["content"]] = turns.get(messages[0]["content"], 0) + 1
        return "Action: wait" if len(messages) < 5 else "Action: win"

    agent = agent_of(ScriptedModel(model))
    specs = shaky_specs(agent)
    with RunStore(tmp_path) as store:
        retry = RetryPolicy(attempts=3, first_wait_s=0.0)
        done = await run(store, agent, specs, benchmark="shaky", retry=retry)
        assert done.void == (specs[0].key,)
        assert store.finished_keys() == {spec.key for spec in specs[1:]}
        causes = store.void_causes()
    assert causes["environment_error: the environment worker died (exit code 3)"] == 3
    assert all(cause.startswith(("environment_error", "cancelled")) for cause in causes)
