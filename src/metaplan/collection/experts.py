"""Expert trajectories of a run's training tasks: in a file of one's own, or asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from random import Random

from metaplan.collection.imports import read_trajectories
from metaplan.core import (
    ConfigError,
    EnvironmentFault,
    ExpertTrajectory,
    Task,
    UserError,
    seed_from,
)
from metaplan.episodes import for_each, retried
from metaplan.runs import Run

__all__ = ["expert_trajectories", "is_varied", "trajectory_of"]


def expert_trajectories(run: Run, tasks: Collection[Task]) -> list[ExpertTrajectory]:
    """Trajectories, at most one of a task; those of the benchmark's expert are kept in the run.

    So are the tasks as the expert found them: they need not be read once more.

    Args:
        run: Whose they are.
        tasks: With their instructions or without.

    Raises:
        UserError: There is neither a file nor an expert.
        ConfigError: Nobody explores the benchmark's tasks.
        DataError: The file is wrong.
    """
    path = run.config.collect.trajectories
    if path is not None:
        return read_trajectories(Path(path))
    if run.config.collect.expert == "exploring" and run.benchmark.demonstrate is None:
        raise ConfigError(
            f"collect.expert: nobody explores {run.benchmark.name}'s tasks; leave it at 'recorded'"
        )
    if run.benchmark.expert is None:
        raise UserError(
            f"the benchmark {run.benchmark.name} has no expert: give trajectories or seed plans "
            f"of your own (collect.trajectories, collect.seed_plans)"
        )
    known = run.store.trajectories()
    missing = [task for task in tasks if task.key not in known]
    if missing:
        before = [known[task.key] for task in tasks if task.key in known]
        run.wait(_ask_expert(run, missing, before))
        known = run.store.trajectories()
    return [known[task.key] for task in tasks]


async def _ask_expert(run: Run, tasks: list[Task], known: list[ExpertTrajectory]) -> None:
    pool = await run.pool()
    solved = sum(trajectory.success for trajectory in known)
    total = len(known) + len(tasks)
    with run.progress.track("expert trajectories", total, len(known)) as tracker:
        explores = run.config.collect.expert == "exploring"

        def asked(task: Task) -> Awaitable[ExpertTrajectory]:
            if explores:
                return pool.demonstrate(task, None, None, is_varied(run, task))
            return pool.expert(task)

        async def ask(task: Task) -> None:
            nonlocal solved
            found = await trajectory_of(run, task, lambda: asked(task))
            run.store.add_trajectory(found)
            if found.steps and not is_varied(run, task):
                run.store.add_tasks([found.task])
            solved += found.success
            tracker.advance(solved=solved)

        await for_each(tasks, ask, limit=run.config.runtime.concurrency)


async def trajectory_of(
    run: Run, task: Task, act: Callable[[], Awaitable[ExpertTrajectory]]
) -> ExpertTrajectory:
    """What an expert does; where that comes to nothing, an unsolved trajectory that says why.

    It is one task less to learn from; the others go on.

    Args:
        run: Its retry policy counts.
        task: The trajectory's has the instruction that the expert saw.
        act: Asks the expert.
    """
    try:
        found = await retried(act, run.config.runtime.retry)
    except EnvironmentFault as fault:
        run.progress.say(f"the expert came to nothing on {task.key}: {fault}")
        return ExpertTrajectory(
            task=task, steps=(), reward=0.0, success=False, source=f"failed: {fault}"
        )
    seen = task.model_copy(update={"instruction": found.task.instruction})
    return found.model_copy(update={"task": seen})


def is_varied(run: Run, task: Task) -> bool:
    """Whether a task is demonstrated in a varied room; drawn from its key, for training tasks."""
    if task.task_set != run.config.tasks.train.task_set:
        return False
    chance = Random(seed_from(run.config.seed, "varied room", task.key))  # noqa: S311
    return chance.random() < run.config.collect.varied_rooms
