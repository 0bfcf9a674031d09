"""The `Benchmark` record of the household games."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from metaplan.core import (
    DataError,
    ExpertTrajectory,
    MetaPlan,
    MissingDependencyError,
    Task,
)
from metaplan.environments import alfworld
from metaplan.environments.alfworld.game import LoadedGame
from metaplan.environments.alfworld.person import act_as_expert
from metaplan.environments.contract import Benchmark
from metaplan.environments.household.problem import write_game
from metaplan.environments.household.scenarios import draw_scenario, task_seed, task_type_of
from metaplan.environments.household.splits import DEFAULT_COUNTS, GENERATOR_VERSION, TASK_SETS

__all__ = ["BENCHMARK", "expert", "fingerprint", "load", "task", "tasks"]

_NAME = "household"


def task(task_set: str, index: int) -> Task:
    """Names a task; the house is drawn when it is loaded.

    Args:
        task_set: ``train``, ``validation``, ``seen`` or ``unseen``.
        index: 0 or more, without an upper limit; six in a row cover all task types.

    Raises:
        DataError: There is no such task set, or the index is negative.
    """
    _check(task_set)
    if index < 0:
        raise DataError(f"a household task's index is 0 or more, not {index}")
    task_type = task_type_of(index)
    return Task(
        key=f"{_NAME}/{task_set}/{index:05d}-{task_type}",
        benchmark=_NAME,
        task_set=task_set,
        task_type=task_type,
        source={"index": str(index)},
    )


def tasks(task_set: str) -> tuple[Task, ...]:
    """The default tasks of a set, sorted by key; `task` makes any number more.

    Raises:
        DataError: There is no such task set.
    """
    _check(task_set)
    return tuple(task(task_set, index) for index in range(DEFAULT_COUNTS[task_set]))


def _check(task_set: str) -> None:
    if task_set not in TASK_SETS:
        raise DataError(f"household has no task set {task_set!r}; it has {', '.join(TASK_SETS)}")


def load(task: Task) -> LoadedGame:
    """Generates a task's game.

    Raises:
        DataError: The task is not one of these.
        MissingDependencyError: The extra ``alfworld`` is not installed.
    """
    index = task.source.get("index", "")
    if task.benchmark != _NAME or task.task_set not in TASK_SETS or not index.isdecimal():
        raise DataError(f"not a household task: {task.key} with source {dict(task.source)}")
    scenario = draw_scenario(task.task_set, int(index))
    return LoadedGame(write_game(scenario, task_seed(task.task_set, int(index))))


def expert(task: Task) -> ExpertTrajectory:
    """A person's episode of a task; see `metaplan.environments.alfworld.person`."""
    return act_as_expert(task, load(task))


def demonstrate(
    task: Task, person: int | None, plan: MetaPlan | None, varied: bool = False
) -> ExpertTrajectory:
    """One of many people's episode of a task, with a plan or without, in a varied room or not."""
    return act_as_expert(task, load(task), person=person, plan=plan, varied=varied)


def fingerprint(_task_set: str) -> Mapping[str, str]:
    """What shapes observations and rewards.

    Raises:
        MissingDependencyError: The extra ``alfworld`` is not installed.
    """
    try:
        wheel = version("alfworld")
    except PackageNotFoundError as error:
        raise MissingDependencyError("alfworld", "alfworld") from error
    return {"generator": GENERATOR_VERSION, "grammar": "move", "alfworld": wheel}


BENCHMARK = Benchmark(
    name=_NAME,
    description="Generated ALFWorld games: unlimited, seeded, no download.",
    task_sets=TASK_SETS,
    tasks=tasks,
    load=load,
    expert=expert,
    demonstrate=demonstrate,
    summarise=alfworld.BENCHMARK.summarise,
    with_other_goal=alfworld.BENCHMARK.with_other_goal,
    looks_for=alfworld.BENCHMARK.looks_for,
    merge=alfworld.BENCHMARK.merge,
    action_templates=alfworld.BENCHMARK.action_templates,
    prompts=alfworld.BENCHMARK.prompts,
    example=alfworld.BENCHMARK.example,
    step_limit=lambda _task: 30,
    fingerprint=fingerprint,
    needs=("alfworld", "alfworld"),
)
