"""Which tasks of a set a run takes."""

from __future__ import annotations

from collections.abc import Iterable

from metaplan.core import Task, UserError, digest

__all__ = ["choose_tasks", "in_order_of_choice"]


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
