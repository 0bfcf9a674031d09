"""Solved ScienceWorld tasks: the gold paths of the simulator's own expert.

Only its actions are taken; they are done again in our environment, so that every observation is
what an agent would have read. Computing a path takes seconds, so what was played is kept in the
cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from metaplan.core import DataError, ExpertStep, ExpertTrajectory, Task, digest
from metaplan.environments.data import cache_directory
from metaplan.environments.scienceworld.environment import LoadedExperiment
from metaplan.environments.scienceworld.simulator import installed_version, simplifications
from metaplan.environments.scienceworld.simulators import SIMULATORS
from metaplan.environments.scienceworld.task_sets import identify, write_once

__all__ = ["play", "solve"]

_ATTEMPTS = 3


def solve(task: Task) -> ExpertTrajectory:
    """The expert's trajectory of a task: from the cache, or played and put there.

    Raises:
        DataError: There is no such task, or the expert does not solve it.
        EnvironmentFault: The simulator broke.
    """
    name, variation = identify(task)
    kept = _cached(name, variation)
    try:
        trajectory = ExpertTrajectory.model_validate_json(kept.read_text("utf-8"))
    except (OSError, ValidationError):  # not there, or damaged
        trajectory = _attempt(task, name, variation)
        write_once(kept, trajectory.model_dump())
    instruction = trajectory.task.instruction
    return trajectory.model_copy(
        update={"task": task.model_copy(update={"instruction": instruction})}
    )


def play(task: Task, actions: Sequence[str], source: str) -> ExpertTrajectory:
    """Does actions in a fresh episode, up to its end; refused ones are left out.

    Raises:
        DataError: There is no such task.
        EnvironmentFault: The simulator broke.
    """
    environment = LoadedExperiment(*identify(task)).make()
    steps: list[ExpertStep] = []
    reward, success = 0.0, False
    try:
        instruction = environment.reset().text
        for action in actions:
            result = environment.step(action)
            reward, success = result.reward, result.success
            if result.valid:
                steps.append(ExpertStep(action=action, observation=result.observation))
            if result.terminated:
                break
    finally:
        environment.close()
    return ExpertTrajectory(
        task=task.model_copy(update={"instruction": instruction}),
        steps=tuple(steps),
        reward=reward,
        success=success,
        source=source,
    )


def _attempt(task: Task, name: str, variation: int) -> ExpertTrajectory:
    """Animals go where they like, so that a path may fail where the next one does not."""
    for _ in range(_ATTEMPTS):
        trajectory = play(task, SIMULATORS.engine.gold_path(name, variation), "gold")
        if trajectory.success:
            return trajectory
    raise DataError(
        f"{task.key}: the simulator's expert reached {trajectory.reward:.2f} of the task at most, "
        f"in {_ATTEMPTS} attempts"
    )


def _cached(name: str, variation: int) -> Path:
    key = digest(installed_version(), simplifications(name))
    return cache_directory() / "scienceworld" / f"gold-{key}" / name / f"{variation}.json"
