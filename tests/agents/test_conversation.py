"""What an agent learns from is what it reads in use."""

import pytest

from metaplan.agents import (
    Agent,
    PromptProfile,
    episode_turns,
    expert_turns,
    run_episode,
    tuning_conversation,
)
from metaplan.core import (
    Dialect,
    EpisodeSpec,
    ExpertStep,
    ExpertTrajectory,
    MetaPlan,
    Placement,
    Task,
)
from metaplan.environments import Observation, StepResult, get_benchmark
from metaplan.models import Sampling, ScriptedModel

HOUSEHOLD = get_benchmark("household")
TASK = Task(
    key="household/train/0",
    benchmark="household",
    task_set="train",
    task_type="pick_and_place_simple",
    instruction="You are in a room.\nYour task is to: put a mug in {fridge}.",
)
PLAN = MetaPlan(steps=("Find the {mug}.", "Put it there."))
STEPS = (
    ExpertStep(action="go to desk 1", observation="On the desk 1, you see a mug 1.", thought="Hm."),
    ExpertStep(
        action="take mug 1 from desk 1", observation="You pick it up.", thought="There\nis!"
    ),
    ExpertStep(action="put mug 1 in/on fridge 1", observation="You put it.", thought="At last."),
)
EXPERT = ExpertTrajectory(task=TASK, steps=STEPS, reward=1.0, success=True, source="test")


class Room:
    """Answers as it answered the expert."""

    def __init__(self):
        self.steps = iter(STEPS)

    async def reset(self):
        return Observation(TASK.instruction)

    async def step(self, action):
        step = next(self.steps)
        assert action == step.action
        done = step is STEPS[-1]
        return StepResult(step.observation, float(done), done, False, done)

    async def close(self):
        pass


@pytest.mark.parametrize("profile", PromptProfile)
@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("placement", [None, Placement.INSTRUCTION, Placement.OBSERVATION])
async def test_an_agent_learns_exactly_the_conversation_that_it_has_in_use(
    profile, dialect, placement
):
    read = []

    def answer(messages, *_):
        read.append(list(messages))
        return replies[len(read) - 1]

    replies = [reply for reply, _ in expert_turns(EXPERT)]
    plan = PLAN if placement else None
    spec = EpisodeSpec(task=TASK, environment="e", plan=plan, placement=placement, agent="a")

    async def open_room():
        return Room()

    agent = Agent(
        model=ScriptedModel(answer), sampling=Sampling(), profile=profile, dialect=dialect
    )
    episode = await run_episode(spec, agent=agent, benchmark=HOUSEHOLD, open_environment=open_room)
    assert episode.success
    had = [*read[-1], {"role": "assistant", "content": replies[-1]}]
    prompts = {"benchmark": HOUSEHOLD, "profile": profile, "dialect": dialect, "plan": plan}
    if placement:
        prompts["placement"] = placement
    assert tuning_conversation(TASK, expert_turns(EXPERT), **prompts) == had
    assert tuning_conversation(TASK, episode_turns(episode), **prompts) == had
    assert [message["role"] for message in had] == ["user", "assistant"] * 3


def test_a_missing_thought_comes_from_a_template_and_others_are_one_line():
    silent = EXPERT.model_copy(
        update={"steps": (STEPS[1], STEPS[2].model_copy(update={"thought": ""}))}
    )
    replies = [reply for reply, _ in expert_turns(silent)]
    assert replies == [
        "Thought: There is!\nAction: take mug 1 from desk 1",
        "Thought: I need to put mug 1 in/on fridge 1.\nAction: put mug 1 in/on fridge 1",
    ]


def test_what_would_teach_the_wrong_thing_is_refused():
    prompts = {"benchmark": HOUSEHOLD, "profile": PromptProfile.COMPACT}
    with pytest.raises(ValueError, match="learn to write the plan"):
        tuning_conversation(
            TASK, expert_turns(EXPERT), plan=PLAN, placement=Placement.THOUGHT, **prompts
        )
    with pytest.raises(ValueError, match="teaches nothing"):
        tuning_conversation(TASK, [], **prompts)
