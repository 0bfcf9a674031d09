"""How long the texts of a run are, in tokens: for estimates, before there is any text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import fmean

from metaplan.agents import PromptProfile
from metaplan.core import Placement, Task
from metaplan.environments import Benchmark
from metaplan.recipes import RunConfig

__all__ = ["CHARACTERS_PER_TOKEN", "Lengths"]

CHARACTERS_PER_TOKEN = 4.0

# Where a benchmark has no example to measure: about those of ALFWorld's, in characters.
_TASK, _OBSERVATION, _REPLY, _STEPS = 250.0, 90.0, 110.0, 12
_PLAN = 450.0  # five steps, as in Figure 14
_TURN = re.compile(r"^Thought:.*?(?=^Observation:|\Z)", re.MULTILINE | re.DOTALL)
_SEEN = re.compile(r"^Observation:.*?(?=^Thought:|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Typical lengths, in tokens.

    Attributes:
        plan: A meta plan.
        planning: What a planner is asked with.
        prompted: What an untrained one is asked with.
        summarising: What the summariser of a trajectory is asked with.
        opening: The agent's first message.
        growth: What a turn adds to the conversation: reply and observation.
        reply: Of the agent.
        expert_steps: Of a solved episode.
    """

    plan: float
    planning: float
    prompted: float
    summarising: float
    opening: float
    growth: float
    reply: float
    expert_steps: int

    @classmethod
    def of(cls, config: RunConfig, benchmark: Benchmark, tasks: list[Task]) -> Lengths:
        """Measured on the benchmark's prompts and 1-shot examples: experts' episodes with thoughts.

        Args:
            config: Its prompt profiles and placement count.
            benchmark: Whose texts they are.
            tasks: One of each type is looked at; may be empty.
        """
        one_of_each = {task.task_type: task for task in tasks}.values()
        examples = [benchmark.example(task) for task in one_of_each]
        replies = [len(text) for example in examples for text in _TURN.findall(example)]
        seen = [len(text) for example in examples for text in _SEEN.findall(example)]
        starts = [example.index("Thought:") for example in examples if "Thought:" in example]
        task, reply = fmean(starts or [_TASK]), fmean(replies or [_REPLY])
        growth = reply + fmean(seen or [_OBSERVATION])
        steps = round(len(replies) / len(examples)) if replies else _STEPS
        example = fmean(map(len, examples)) if replies else task + steps * growth

        prompts, placement = benchmark.prompts, config.agent.placement
        full_agent = config.agent.profile is PromptProfile.PAPER
        full_planner = config.planner.profile is PromptProfile.PAPER
        opening = task + (len(prompts.instruction) + example if full_agent else 0.0)
        return cls(
            plan=_tokens(_PLAN),
            planning=_tokens(task + (len(prompts.planner) if full_planner else 0.0)),
            prompted=_tokens(task + len(prompts.planner)),
            summarising=_tokens(len(prompts.collection) + task + steps * growth),
            opening=_tokens(opening + (_PLAN if placement is Placement.INSTRUCTION else 0.0)),
            growth=_tokens(growth + (0.0 if placement is Placement.INSTRUCTION else _PLAN)),
            reply=_tokens(reply),
            expert_steps=steps,
        )


def _tokens(characters: float) -> float:
    return characters / CHARACTERS_PER_TOKEN
