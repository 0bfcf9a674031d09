"""Solved ScienceWorld tasks: the gold paths of the simulator's own expert.

Only its actions are taken; they are done again in our environment, so that every observation is
what an agent would have read. The expert walks from door to door and drops things, which the
actions of Figure 10 do not have: they are respelt, and where that fails, left as they are.
Computing a path takes seconds, so what was played is kept in the cache.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from metaplan.core import DataError, ExpertStep, ExpertTrajectory, Task, digest
from metaplan.environments.data import cache_directory
from metaplan.environments.scienceworld.environment import LoadedExperiment
from metaplan.environments.scienceworld.simulator import installed_version, simplifications
from metaplan.environments.scienceworld.simulators import SIMULATORS
from metaplan.environments.scienceworld.task_sets import identify, write_once

__all__ = ["as_prompted", "demonstrate", "play", "solve"]

_ATTEMPTS = 8
_GO = re.compile(r"go to (.+)")
_DROP = re.compile(r"drop (.+)")
_OPEN_DOOR = re.compile(r"open door to .+")
_ALREADY_OPEN = re.compile(r"The .+ is already open\.")


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
        trajectory = demonstrate(task)
        write_once(kept, trajectory.model_dump())
    instruction = trajectory.task.instruction
    return trajectory.model_copy(
        update={"task": task.model_copy(update={"instruction": instruction})}
    )


def demonstrate(task: Task) -> ExpertTrajectory:
    """Asks the simulator's expert for a path, and plays it.

    Where genes and animals are against it, the expert gives up after 300 actions, and a path that
    led to the goal once may not do so again (bees go where they like): then other luck is tried.

    Raises:
        DataError: There is no such task, or the expert does not solve it.
        EnvironmentFault: The simulator broke.
    """
    best = 0.0
    path: list[str] = []
    solves = False
    for luck in range(_ATTEMPTS):
        if not solves:
            path, solves = SIMULATORS.engine.gold_path(*identify(task), luck)
        for actions in (as_prompted(path), path):
            trajectory = play(task, actions, "gold", luck)
            if trajectory.success:
                return trajectory
            best = max(best, trajectory.reward)
    raise DataError(
        f"{task.key}: the simulator's expert reached {best:.2f} of the task, "
        f"in {_ATTEMPTS} attempts"
    )


def play(task: Task, actions: Sequence[str], source: str, luck: int = 0) -> ExpertTrajectory:
    """Does actions in a fresh episode, up to its end; those that do nothing are not recorded.

    They are the refused ones, and the opening of what is open already.

    Raises:
        DataError: There is no such task.
        EnvironmentFault: The simulator broke.
    """
    environment = LoadedExperiment(*identify(task), luck=luck).make()
    steps: list[ExpertStep] = []
    reward, success = 0.0, False
    try:
        instruction = environment.reset().text
        for action in actions:
            result = environment.step(action)
            reward, success = result.reward, result.success
            if result.valid and not _ALREADY_OPEN.fullmatch(result.observation):
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


def as_prompted(actions: Sequence[str]) -> list[str]:
    """The same deeds in actions of Figure 10: teleports for walks through open doors.

    What is dropped is moved to the room, where the room is known.
    """
    spelt: list[str] = []
    room, arriving = "", False
    for action in actions:
        if _OPEN_DOOR.fullmatch(action):
            continue
        walk, drop = _GO.fullmatch(action), _DROP.fullmatch(action)
        if walk:
            room = walk[1]
            if arriving:  # it only passed through the last room
                spelt.pop()
            spelt.append(f"teleport to {room}")
        else:
            spelt.append(f"move {drop[1]} to {room}" if drop and room else action)
        arriving = walk is not None
    return spelt


def _cached(name: str, variation: int) -> Path:
    key = digest(installed_version(), simplifications(name))
    return cache_directory() / "scienceworld" / f"gold-{key}" / name / f"{variation}.json"
