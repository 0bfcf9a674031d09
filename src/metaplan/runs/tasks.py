"""Which tasks of a set a run takes, and what they say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from metaplan.core import Task, UserError, digest
from metaplan.environments import Benchmark
from metaplan.episodes import for_each, retried
from metaplan.recipes.config import TaskSetConfig
from metaplan.runs.faults import naming

if TYPE_CHECKING:
    from metaplan.runs.run import Run

__all__ = ["choose_tasks", "chosen_tasks", "in_order_of_choice", "read_tasks"]


def choose_tasks(tasks: Iterable[Task], count: int | None, seed: int) -> list[Task]:
    """The first `count` tasks in an order drawn by seed and keys; returned sorted by key.

    A larger count contains a smaller one, and the choice does not depend on the listing's order.

    Raises:
        UserError: There are no tasks, or fewer than `count`.
    """
    found = {task.key: task for task in tasks}
    if not found or (count is not None and count > len(found)):
        raise UserError(
            f"{count or 'some'} tasks are wanted, but the task set has {len(found)}; lower the "
            f"count in the recipe, or look at 'metaplan data check'"
        )
    return [found[key] for key in sorted(in_order_of_choice(found, seed)[:count])]


def in_order_of_choice(keys: Iterable[str], seed: int) -> list[str]:
    """Keys in an order that depends on the seed and on nothing else."""
    return sorted(keys, key=lambda key: digest(seed, key))


def chosen_tasks(benchmark: Benchmark, wanted: TaskSetConfig, seed: int) -> list[Task]:
    """The tasks that a recipe wants from a set, without their instructions.

    Raises:
        UserError: The set does not exist, or has too few; the message names it.
    """
    if wanted.task_set not in benchmark.task_sets:
        raise UserError(
            f"{benchmark.name} has no task set '{wanted.task_set}'; it has: "
            f"{', '.join(benchmark.task_sets)}"
        )
    try:
        return choose_tasks(benchmark.tasks(wanted.task_set), wanted.count, seed)
    except UserError as error:
        raise UserError(f"{benchmark.name} '{wanted.task_set}': {error}") from None


def read_tasks(run: Run, wanted: TaskSetConfig) -> dict[str, Task]:
    """The tasks that a recipe wants from a set, with their instructions, by key.

    A task's instruction is what one reset shows; it is read once and kept in the run.

    Raises:
        RunError: A task can't be read; the message names it.
    """
    chosen = chosen_tasks(run.benchmark, wanted, run.config.seed)
    known = run.store.tasks(wanted.task_set)
    missing = [task for task in chosen if task.key not in known]

    async def read_all() -> None:
        pool = await run.pool()
        label = f"reading {wanted.task_set} tasks"
        with run.progress.track(label, len(chosen), len(chosen) - len(missing)) as tracker:

            async def read(task: Task) -> None:
                with naming(f"the task {task.key} can't be read"):
                    described = await retried(lambda: pool.describe(task), run.config.runtime.retry)
                run.store.add_tasks([described])
                tracker.advance()

            await for_each(missing, read, limit=run.config.runtime.concurrency)

    if missing:
        run.wait(read_all())
        known = run.store.tasks(wanted.task_set)
    return {task.key: known[task.key] for task in chosen}
