"""The conversation of an episode, the same whether it is being played or learned from.

`run_episode` puts it together turn by turn; agent tuning does so from an expert's trajectory, or
from an episode that was played. Both by these functions: an agent learns on what it reads in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

from pydantic import Field

from metaplan.agents.prompting import PromptProfile, first_message, insert_plan
from metaplan.core import (
    Dialect,
    Episode,
    ExpertStep,
    ExpertTrajectory,
    MetaPlan,
    Placement,
    Record,
    Task,
)
from metaplan.environments import Benchmark
from metaplan.models import Message

__all__ = [
    "Demonstration",
    "Turns",
    "as_shown",
    "episode_turns",
    "expert_turns",
    "tuning_conversation",
    "turn_messages",
]

Turns: TypeAlias = Iterable[tuple[str, str]]
"""Replies, each with the observation that followed."""


class Demonstration(Record):
    """An expert's trajectory with the plan that the agent is shown beside it.

    Attributes:
        person: Which of the benchmark's experts acted.
        plan: What the agent reads; None where it learns the task without a plan.
        origin: Of the plan: ``own``, the summary of this very trajectory; ``other``, that of
            another task, which the expert was shown as well; or ``none``.
        seed_plan: The summary of this trajectory, shown or not; None where there is no rule for it,
            or nothing to tell.
    """

    trajectory: ExpertTrajectory
    person: int = Field(default=0, ge=0)
    plan: MetaPlan | None = None
    origin: Literal["none", "own", "other"] = "none"
    seed_plan: MetaPlan | None = None


def turn_messages(reply: str, observation: str) -> tuple[Message, Message]:
    """What a turn adds to the conversation: the agent's reply, then what it sees."""
    return (
        {"role": "assistant", "content": reply},
        {"role": "user", "content": f"Observation: {observation}"},
    )


def as_shown(
    messages: Sequence[Message],
    plan: MetaPlan | None,
    placement: Placement | None,
    dialect: Dialect,
) -> list[Message]:
    """The conversation as the agent reads it: with the plan, where it has one."""
    if plan is None or placement is None:
        return list(messages)
    return insert_plan(messages, plan, placement, dialect)


def expert_turns(trajectory: ExpertTrajectory) -> Iterator[tuple[str, str]]:
    """An expert's steps as an agent's turns.

    An expert that is a program, or whose actions alone were recorded, has no thoughts: a template
    stands in for a missing one, as agents are asked for a thought before every action.
    """
    for step in trajectory.steps:
        yield f"Thought: {_thought(step)}\nAction: {step.action}", step.observation


def _thought(step: ExpertStep) -> str:
    return " ".join(step.thought.split()) or f"I need to {step.action}."


def episode_turns(episode: Episode) -> Iterator[tuple[str, str]]:
    """The turns of an episode that was played."""
    return ((turn.reply, turn.observation) for turn in episode.turns)


def tuning_conversation(
    task: Task,
    turns: Turns,
    *,
    benchmark: Benchmark,
    profile: PromptProfile,
    dialect: Dialect = Dialect.META_PLAN,
    plan: MetaPlan | None = None,
    placement: Placement = Placement.INSTRUCTION,
) -> list[Message]:
    """A whole episode as an agent learns it: from the message with the task to its last reply.

    Args:
        task: With its instruction.
        turns: See `expert_turns` and `episode_turns`; at least one.
        benchmark: Whose prompts are used.
        profile: The prompts that the agent will be used with.
        dialect: What a plan is called.
        plan: Shown to the agent, or None.
        placement: Where. Not ``thought``: there the plan is part of the replies, which are learned.

    Returns:
        Messages of user and assistant in turns; the first is the user's, the last the assistant's.

    Raises:
        ValueError: The placement is ``thought``, or there is no turn.
    """
    if placement is Placement.THOUGHT:
        raise ValueError("with placement 'thought' an agent would learn to write the plan itself")
    messages = [first_message(benchmark, task, task.instruction, profile)]
    for reply, observation in turns:
        messages += turn_messages(reply, observation)
    if len(messages) == 1:
        raise ValueError(f"{task.key}: an episode without a turn teaches nothing")
    return as_shown(messages, plan, placement, dialect)[:-1]
