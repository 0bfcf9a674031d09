"""The agent that comes with the package: small, and better off with a plan that is right."""

import asyncio
from itertools import islice

import pytest
from in_process import InProcess

from metaplan.agents import Agent, PromptProfile, run_episode
from metaplan.core import EpisodeSpec, Placement
from metaplan.environments import get_benchmark
from metaplan.models import LocalModel, Sampling
from metaplan.runs.models import agent_directory, built_in_agents

HOUSEHOLD = get_benchmark("household")
TASKS = list(islice(HOUSEHOLD.tasks("validation"), 24))


@pytest.fixture(scope="module")
def agent():
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    model = LocalModel(agent_directory("household-agent"))
    sampling = Sampling(temperature=0.0, max_tokens=128)
    return Agent(model=model, sampling=sampling, profile=PromptProfile.COMPACT)


async def played(agent, *, with_plans):
    async def one(task):
        plan = HOUSEHOLD.summarise(HOUSEHOLD.demonstrate(task, None, None)) if with_plans else None

        async def opened():
            return InProcess(HOUSEHOLD.load(task).make())

        placement = Placement.INSTRUCTION if plan else None
        spec = EpisodeSpec(task=task, environment="e", plan=plan, placement=placement, agent="a")
        return await run_episode(spec, agent=agent, benchmark=HOUSEHOLD, open_environment=opened)

    return await asyncio.gather(*(one(task) for task in TASKS))


async def test_it_acts_in_games_that_it_was_not_trained_on_and_gains_from_right_plans(agent):
    alone = await played(agent, with_plans=False)
    guided = await played(agent, with_plans=True)
    solved, better = (sum(episode.success for episode in group) for group in (alone, guided))
    assert solved >= len(TASKS) // 3
    assert better > solved
    assert better >= 2 * len(TASKS) // 3
    turns = [turn for episode in (*alone, *guided) for turn in episode.turns]
    assert sum(bool(turn.problem) for turn in turns) < 0.1 * len(turns)


def test_it_comes_with_its_card_and_without_traces_of_its_training():
    directory = agent_directory("household-agent")
    assert "household-agent" in built_in_agents()
    files = {path.name for path in directory.iterdir()}
    assert {"README.md", "model.safetensors", "chat_template.jinja"} <= files
    assert "training.json" not in files
    assert sum(path.stat().st_size for path in directory.iterdir()) < 8e6
    card = (directory / "README.md").read_text("utf-8")
    assert "# household-agent" in card
    assert "/agents/sft" not in card
