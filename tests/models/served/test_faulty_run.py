"""Real episodes through HTTP: no fault of a server shows up as a reward."""

import json

import pytest
from openai_server import FAULTS, RandomFaults

from metaplan.agents import Agent, PromptProfile
from metaplan.core import EpisodeSpec, MetaPlan, Placement, RunError
from metaplan.environments import get_benchmark
from metaplan.episodes import EnvironmentPool, EpisodeRunner, RetryPolicy, RunStore
from metaplan.models import PlanFollower, Sampling

HOUSEHOLD = get_benchmark("household")
PLANS = (
    None,
    MetaPlan(steps=("Go to where the object may be located.", "Take the object.")),
    MetaPlan(steps=("Look around.",)),
)
CONCURRENCY = 12


def agent_of(model):
    sampling = Sampling(temperature=0.0, max_tokens=128)
    return Agent(model=model, sampling=sampling, profile=PromptProfile.COMPACT)


def specs_of(agent, tasks):
    return [
        EpisodeSpec(
            task=task,
            environment="e",
            plan=plan,
            placement=Placement.INSTRUCTION if plan else None,
            agent=agent.fingerprint,
        )
        for task in HOUSEHOLD.tasks("train")[:tasks]
        for plan in PLANS
    ]


async def run(store, agent, specs, **retry):
    async with EnvironmentPool(1, timeout_s=30) as pool:
        runner = EpisodeRunner(
            store=store,
            pool=pool,
            agent=agent,
            benchmark=HOUSEHOLD,
            retry=RetryPolicy(first_wait_s=0.05, **retry),
            concurrency=CONCURRENCY,
        )
        return await runner.run(specs, purpose="explore")


def outcome(store, specs):
    """All but the time, and tokens: of too many choices, each has an equal share."""
    episodes = store.episodes(spec.key for spec in specs)
    return [episode.model_dump(exclude={"duration_s", "completion_tokens"}) for episode in episodes]


async def test_a_fifth_of_all_requests_faulty_and_every_reward_the_same(serve, client_of, tmp_path):
    calm = agent_of(client_of(serve(PlanFollower())))
    specs = specs_of(calm, tasks=20)
    with RunStore(tmp_path / "calm") as store:
        await run(store, calm, specs)
        expected = outcome(store, specs)
    assert {episode["reward"] for episode in expected} == {0.0, 1.0}

    faults = RandomFaults(0.2, seed=1)
    model = client_of(serve(PlanFollower(), fault=faults), timeout_s=0.5)
    with RunStore(tmp_path / "faulty") as store:
        done = await run(store, agent_of(model), specs)
        assert done.void == ()
        assert outcome(store, specs) == expected
    assert faults.counts.keys() == {*FAULTS, RandomFaults.TOO_MANY}
    assert model.usage.faults >= 0.9 * faults.lost


async def test_a_server_that_is_gone_ends_the_run_which_another_one_finishes(
    serve, client_of, tmp_path, no_waits
):
    calm = agent_of(client_of(serve(PlanFollower())))
    specs = specs_of(calm, tasks=6)
    with RunStore(tmp_path / "calm") as store:
        await run(store, calm, specs)
        expected = outcome(store, specs)

    server = serve(PlanFollower())
    going = agent_of(client_of(server, attempts=2, patience_s=0))
    with RunStore(tmp_path / "run") as store:
        server.fault = lambda number, body: server.hang_up() if number >= 200 else None
        with pytest.raises(RunError, match=r"no connection.*run the same command again") as error:
            await run(store, going, specs, give_up_after=2)
        assert server.url in str(error.value)
        kept = len(store.finished_keys())
        assert 0 < kept < len(specs)

        another = agent_of(client_of(serve(PlanFollower())))
        done = await run(store, another, specs)
        assert (done.resumed, done.void) == (kept, ())
        assert outcome(store, specs) == expected


RECIPE = """\
name: served
benchmark: household
tasks:
  train: {{task_set: train, count: 2}}
  evaluate:
    seen: {{task_set: seen, count: 12}}
agent:
  model: served
  profile: compact
  served: {{model: follower, urls: ["{url}"], attempts: 2, patience_s: 0}}
evaluate: {{methods: [none]}}
runtime:
  workers: 1
  concurrency: 4
  retry: {{attempts: 2, first_wait_s: 0.05, give_up_after: 1}}
"""


def test_the_command_stops_with_one_message_and_resumes_at_another_url(
    serve, metaplan_command, tmp_path
):
    working, dying = serve(PlanFollower()), serve(PlanFollower())
    dying.fault = lambda number, body: dying.hang_up() if number >= 80 else None
    recipe = tmp_path / "served.yaml"
    recipe.write_text(RECIPE.format(url=dying.url))
    run_dir = tmp_path / "run"

    stopped = metaplan_command("run", recipe, "--out", run_dir)
    assert stopped.returncode == 2, stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert f"follower at {dying.url}: no connection" in " ".join(stopped.stderr.split())

    urls = f"agent.served.urls=[{working.url}]"
    resumed = metaplan_command("run", recipe, "--out", run_dir, "--set", urls)
    assert resumed.returncode == 0, resumed.stderr
    undisturbed = metaplan_command("run", recipe, "--out", tmp_path / "calm", "--set", urls)
    assert undisturbed.returncode == 0, undisturbed.stderr
    results = [
        json.loads((path / "report/results.json").read_text())
        for path in (run_dir, tmp_path / "calm")
    ]
    assert results[0]["rows"] == results[1]["rows"]
