"""What a run would do, before it does it: tasks, episodes, turns, tokens, time, what is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from metaplan.agents import PromptProfile
from metaplan.core import Task
from metaplan.environments import Benchmark, get_benchmark
from metaplan.episodes import EpisodeSummary, RunStatus
from metaplan.recipes import RunConfig, load_recipe
from metaplan.runs.files import read_status
from metaplan.runs.tasks import chosen_tasks

__all__ = ["PlannedEpisodes", "planned_episodes"]

_CHARACTERS_PER_TOKEN = 4.0
_OBSERVATION_TOKENS = 40
_REPLY_TOKENS = 30
_INSTRUCTION_TOKENS = 150
_S_PER_TURN = 0.001


@dataclass(frozen=True, kw_only=True)
class PlannedEpisodes:
    """Upper bounds for one purpose: equal plans share episodes, and most episodes end early.

    Attributes:
        done: Episodes of this purpose that the run has.
        missing: Episodes still to play.
        turns: Episodes to play × turns each.
        turns_each: Measured in this run where it has episodes, else the step limit.
        prompt_tokens: Sent to the agent over all turns; a prefix cache saves most of them.
        duration_s: At the rate of this run's newest episodes where it has some; else of environment
            and harness alone, without the model.
    """

    purpose: str
    tasks: int
    episodes: int
    done: int
    missing: int
    turns: int
    turns_each: float
    prompt_tokens: int
    completion_tokens: int
    duration_s: float


def planned_episodes(config: RunConfig, directory: Path) -> list[PlannedEpisodes]:
    """What exploration and evaluation would play.

    Token counts are estimates: a token is 4 characters, a reply 30 tokens, an observation 40, a
    task's text 150; a turn without the model takes 1 ms (household games on two cores).

    Args:
        config: The run.
        directory: Its directory; need not exist.
    """
    benchmark = get_benchmark(config.benchmark)
    status = read_status(directory) if (directory / "run.db").exists() else None
    grows = status is None or load_recipe(directory / "config.yaml") != config
    explore, evaluate = config.explore, config.evaluate
    trained = chosen_tasks(benchmark, config.tasks.train, config.seed)
    explored = trained[: explore.tasks]
    tests = [
        task
        for split in config.tasks.evaluate.values()
        for task in chosen_tasks(benchmark, split, config.seed)
    ]
    each = explore.plans_per_task * explore.episodes_per_plan
    arms = len(evaluate.methods) * evaluate.episodes_per_task
    return [
        _planned(config, benchmark, explored, each, "explore", status=status, grows=grows),
        _planned(config, benchmark, tests, arms, "evaluate", status=status, grows=grows),
    ]


def _summary(status: RunStatus | None, purpose: str) -> EpisodeSummary:
    """What is there of a purpose; zeros where nothing is."""
    for summary in status.episodes if status else ():
        if summary.purpose == purpose:
            return summary
    return EpisodeSummary(
        purpose=purpose,
        episodes=0,
        reward=0.0,
        success=0.0,
        steps=0.0,
        prompt_tokens=0,
        completion_tokens=0,
    )


def _planned(
    config: RunConfig,
    benchmark: Benchmark,
    tasks: list[Task],
    each: int,
    purpose: str,
    *,
    status: RunStatus | None,
    grows: bool,
) -> PlannedEpisodes:
    there = _summary(status, purpose)
    limit = max((benchmark.step_limit(task) for task in tasks), default=0)
    turns_each = there.steps if there.episodes else float(limit)
    # What was planned last is known exactly, equal plans and all; what will be, is not.
    known = there.episodes > 0 and not grows
    missing = there.missing if known else max(len(tasks) * each - there.episodes, 0)
    turns = round(missing * turns_each)
    first = _INSTRUCTION_TOKENS
    if config.agent.profile is PromptProfile.PAPER and tasks:
        prompt = benchmark.prompts.instruction + benchmark.example(tasks[0])
        first += round(len(prompt) / _CHARACTERS_PER_TOKEN)
    growth = _OBSERVATION_TOKENS + _REPLY_TOKENS
    rate = status.rate if status else 0.0
    return PlannedEpisodes(
        purpose=purpose,
        tasks=len(tasks),
        episodes=len(tasks) * each,
        done=there.episodes,
        missing=missing,
        turns=turns,
        turns_each=turns_each,
        prompt_tokens=round(turns * (first + growth * turns_each / 2)),
        completion_tokens=turns * _REPLY_TOKENS,
        duration_s=missing / rate if rate else turns * _S_PER_TURN,
    )
