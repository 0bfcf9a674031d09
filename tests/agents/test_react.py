from dataclasses import replace

import pytest
from in_process import InProcess

from metaplan.agents import INVALID_TURNS_LIMIT, Agent, PromptProfile, run_episode
from metaplan.core import (
    ContextLimitError,
    EnvironmentFault,
    EpisodeSpec,
    MetaPlan,
    ModelFault,
    Placement,
    StopReason,
    Task,
    UserError,
)
from metaplan.environments import Observation, StepResult, get_benchmark
from metaplan.models import Sampling, ScriptedModel

PLAN = MetaPlan(steps=("Find the key.", "Open the door."))
TASK = Task(key="household/train/0", benchmark="household", task_set="train", task_type="any")
HOUSEHOLD = get_benchmark("household")


def go(reward=0.0, **changes):
    return StepResult(
        **{
            "observation": "ok",
            "reward": reward,
            "terminated": False,
            "truncated": False,
            "success": False,
            **changes,
        }
    )


SOLVED = go(1.0, terminated=True, success=True)
INVALID = go(observation="Nothing happens.", valid=False)


class Room:
    """An environment that gives results from a list; an exception in it is raised."""

    def __init__(self, *results, opening=None):
        self.results = iter(results)
        self.opening = opening
        self.actions = []
        self.closed = 0

    async def reset(self):
        if self.opening:
            raise self.opening
        return Observation("You are in a room.")

    async def step(self, action):
        self.actions.append(action)
        result = next(self.results, go())
        if isinstance(result, Exception):
            raise result
        return result

    async def close(self):
        self.closed += 1


def spec(plan=None, placement=None, task=TASK):
    return EpisodeSpec(task=task, environment="e", plan=plan, placement=placement, agent="a")


async def play(model, room, *, planned=None, steps=30, agent_steps=None):
    async def open_room():
        return room

    return await run_episode(
        planned or spec(),
        agent=Agent(
            model=model,
            sampling=Sampling(temperature=0.7, stop=("END",)),
            profile=PromptProfile.COMPACT,
            step_limit=agent_steps,
        ),
        benchmark=replace(HOUSEHOLD, step_limit=lambda _task: steps),
        open_environment=open_room,
    )


def acting(*actions):
    return ScriptedModel([f"Thought: so.\nAction: {action}" for action in actions])


async def test_a_solved_task_ends_the_episode_with_its_reward():
    room = Room(go(0.5), SOLVED)
    episode = await play(acting("take key", "open door", "never asked"), room)
    assert (episode.stop_reason, episode.reward, episode.success) == (StopReason.SOLVED, 1.0, True)
    assert [(turn.action, turn.reward) for turn in episode.turns] == [
        ("take key", 0.5),
        ("open door", 1.0),
    ]
    assert room.closed == 1


async def test_what_the_environment_ends_without_success_is_failed_whatever_the_reward():
    episode = await play(acting("take key"), Room(go(0.75, terminated=True)))
    assert (episode.stop_reason, episode.reward, episode.success) == (
        StopReason.FAILED,
        0.75,
        False,
    )


async def test_the_loop_counts_the_steps():
    model = ScriptedModel(lambda _: "Action: look")
    episode = await play(model, Room(go(0.25)), steps=4)
    assert (episode.stop_reason, episode.steps) == (StopReason.STEP_LIMIT, 4)
    assert episode.reward == 0.0


@pytest.mark.parametrize(("agent_steps", "steps"), [(3, 3), (9, 4)])
async def test_an_agents_step_limit_can_only_be_the_tighter_one(agent_steps, steps):
    model = ScriptedModel(lambda _: "Action: look")
    episode = await play(model, Room(go(0.25)), steps=4, agent_steps=agent_steps)
    assert (episode.stop_reason, episode.steps) == (StopReason.STEP_LIMIT, steps)


async def test_an_environments_own_limit_is_a_step_limit():
    episode = await play(acting("look"), Room(go(0.25, truncated=True)))
    assert (episode.stop_reason, episode.reward) == (StopReason.STEP_LIMIT, 0.25)


async def test_a_format_error_is_a_step_that_the_environment_never_sees():
    room = Room(go(0.5), SOLVED)
    model = ScriptedModel(["Action: take key", "I open the door.", "Action: open door"])
    episode = await play(model, room)
    assert room.actions == ["take key", "open door"]
    assert (episode.steps, episode.format_errors) == (3, 1)
    assert (episode.turns[1].action, episode.turns[1].reward) == (None, 0.5)
    assert "Action:" in model.calls[2].messages[-1]["content"]


async def test_ten_failing_turns_in_a_row_end_the_episode():
    replies = ["no action", "Action: fly"] * INVALID_TURNS_LIMIT
    episode = await play(ScriptedModel(replies), Room(*[INVALID] * 20))
    assert (episode.stop_reason, episode.steps) == (StopReason.INVALID_ACTIONS, 10)
    assert (episode.format_errors, episode.invalid_actions) == (5, 5)


async def test_a_good_turn_starts_the_count_of_failing_turns_anew():
    room = Room(*[INVALID] * 9, go(), *[INVALID] * 9, go(), SOLVED)
    episode = await play(ScriptedModel(lambda _: "Action: try"), room)
    assert (episode.stop_reason, episode.steps) == (StopReason.SOLVED, 21)


async def test_a_conversation_that_no_longer_fits_ends_the_episode_with_what_it_earned():
    model = ScriptedModel(["Action: take key", ContextLimitError("too long")])
    room = Room(go(0.5))
    episode = await play(model, room)
    assert (episode.stop_reason, episode.reward) == (StopReason.CONTEXT_LIMIT, 0.5)
    assert not episode.stop_reason.is_void
    assert room.closed == 1


@pytest.mark.parametrize(
    ("script", "room", "reason"),
    [
        (["Action: look", ModelFault("gone")], Room(), StopReason.MODEL_ERROR),
        (["Action: look"], Room(EnvironmentFault("gone")), StopReason.ENVIRONMENT_ERROR),
        ([], Room(opening=EnvironmentFault("gone")), StopReason.ENVIRONMENT_ERROR),
    ],
)
async def test_a_fault_voids_the_episode_with_its_cause(script, room, reason):
    episode = await play(ScriptedModel(script), room)
    assert (episode.stop_reason, episode.cause) == (reason, "gone")
    assert episode.stop_reason.is_void
    assert room.closed == 1


async def test_an_environment_that_can_not_be_opened_voids_the_episode():
    async def open_room():
        raise EnvironmentFault("no worker")

    agent = Agent(model=acting(), sampling=Sampling(), profile=PromptProfile.COMPACT)
    episode = await run_episode(
        spec(), agent=agent, benchmark=HOUSEHOLD, open_environment=open_room
    )
    assert (episode.stop_reason, episode.cause) == (StopReason.ENVIRONMENT_ERROR, "no worker")


async def test_a_programming_error_is_raised_and_the_environment_closed():
    room = Room(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await play(acting("look"), room)
    assert room.closed == 1


async def test_what_is_asked_carries_the_episodes_seed_session_and_stop_strings():
    model = acting("look", "look")
    planned = spec()
    await play(model, Room(go(), SOLVED), planned=planned)
    for call in model.calls:
        assert call.session == planned.key
        assert call.sampling.seed == planned.seed
        assert call.sampling.stop == ("END", "\nObservation:")
        assert call.sampling.temperature == 0.7


async def test_an_imagined_observation_never_enters_the_conversation():
    model = ScriptedModel(["Action: look\nObservation: You won!\nAction: stop", "Action: wait"])
    room = Room(go(), SOLVED)
    episode = await play(model, room)
    assert episode.turns[0].reply == "Action: look"
    assert room.actions == ["look", "wait"]


async def test_tokens_are_summed_over_turns():
    model = acting("look", "look")
    episode = await play(model, Room(go(), SOLVED))
    read = [sum(len(m["content"].split()) for m in call.messages) for call in model.calls]
    assert episode.prompt_tokens == sum(read)
    assert episode.completion_tokens == 2 * len(["Thought:", "so.", "Action:", "look"])


@pytest.mark.parametrize("placement", Placement)
async def test_the_agent_reads_the_plan_where_it_is_placed_and_turns_stay_as_they_were(placement):
    model = ScriptedModel(["so.\nAction: look"] * 2, can_continue=True)
    episode = await play(model, Room(go(), SOLVED), planned=spec(PLAN, placement))
    asked = model.calls[1].messages
    with_plan = [at for at, message in enumerate(asked) if PLAN.text in message["content"]]
    assert with_plan == {"instruction": [0], "observation": [2], "thought": [1, 3]}[placement]
    assert (asked[-1]["role"] == "assistant") is (placement is Placement.THOUGHT)
    assert all(PLAN.text not in turn.reply + turn.observation for turn in episode.turns)
    assert (episode.plan_key, episode.placement) == (PLAN.key, placement)


def test_a_model_that_can_not_continue_is_refused_for_thoughts():
    agent = Agent(model=ScriptedModel([]), sampling=Sampling())
    agent.check_placement(Placement.INSTRUCTION)
    with pytest.raises(UserError, match="'instruction' or 'observation'"):
        agent.check_placement(Placement.THOUGHT)


def test_the_fingerprints_hold_what_shapes_an_episode():
    pytest.importorskip("alfworld", reason="the extra 'alfworld' is not installed")
    base = Agent(model=ScriptedModel([]), sampling=Sampling())
    warm = replace(base, sampling=Sampling(temperature=0.7))
    other = replace(base, model=ScriptedModel([], name="other"))
    seeded = replace(base, sampling=Sampling(seed=3))
    assert len({agent.fingerprint for agent in (base, warm, other)}) == 3
    assert seeded.fingerprint == base.fingerprint

    longer = replace(HOUSEHOLD, step_limit=lambda _task: 50)
    compact = replace(base, profile=PromptProfile.COMPACT)
    hurried = replace(base, step_limit=9)
    prints = {
        hurried.environment_fingerprint(HOUSEHOLD, TASK),
        base.environment_fingerprint(HOUSEHOLD, TASK),
        base.environment_fingerprint(longer, TASK),
        compact.environment_fingerprint(HOUSEHOLD, TASK),
    }
    assert len(prints) == 4
    unhurried = replace(base, step_limit=99)
    assert unhurried.environment_fingerprint(HOUSEHOLD, TASK) in prints
    assert warm.environment_fingerprint(HOUSEHOLD, TASK) in prints


async def test_an_experts_actions_solve_a_real_game():
    pytest.importorskip("alfworld", reason="the extra 'alfworld' is not installed")
    from metaplan.environments import household

    task = household.task("train", 0)
    trajectory = household.expert(task)
    room = InProcess(household.load(task).make())
    model = acting("dance", *(step.action for step in trajectory.steps))
    episode = await play(model, room, planned=spec(task=task), steps=60)
    assert episode.stop_reason is StopReason.SOLVED
    assert (episode.reward, episode.success, episode.invalid_actions) == (1.0, True, 1)
    assert [turn.observation for turn in episode.turns[1:]] == [
        step.observation for step in trajectory.steps
    ]
