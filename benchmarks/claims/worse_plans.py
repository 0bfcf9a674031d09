"""Plans for the test tasks of C7: a right one, and what can be wrong with one.

The right plan is the summary of an expert's trajectory on this very task, which no planner ever
sees. A worse plan is that one with a single fault, as in `plan_quality.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from plan_quality import missing_step, of_another, wrong_place

from metaplan.collection.experts import expert_trajectories
from metaplan.core import ConfigError, DataError, MetaPlan, Task
from metaplan.runs import Run

__all__ = ["WORSE", "reference_plans"]

_Seeds = Mapping[str, tuple[Task, MetaPlan]]

WORSE: Mapping[str, Callable[[Task, _Seeds], MetaPlan | None]] = {
    "wrong place": wrong_place,
    "missing step": missing_step,
    "other task": partial(of_another, same_type=False),
}
"""What is wrong; a task that can't have the fault (nothing to leave out) has no such plan."""


def reference_plans(run: Run, tasks: Mapping[str, Task]) -> dict[str, dict[str, MetaPlan]]:
    """The plans of all tasks that the expert solves, by method (``right``, then `WORSE`) and task.

    Raises:
        ConfigError: The benchmark has no expert whose trajectories can be summarised by rule.
    """
    summarise = run.benchmark.summarise
    if summarise is None:
        raise ConfigError(f"{run.benchmark.name} has no rule that summarises trajectories")
    seeds: dict[str, tuple[Task, MetaPlan]] = {}
    for trajectory in expert_trajectories(run, tasks.values()):
        key = trajectory.task.key
        try:
            if trajectory.success:
                seeds[key] = tasks[key], summarise(trajectory)
        except DataError as error:
            run.progress.say(f"left out: {error}")
    plans = {"right": {key: plan for key, (_, plan) in seeds.items()}}
    for kind, make in WORSE.items():
        made = {key: make(task, seeds) for key, (task, _) in seeds.items()}
        plans[kind] = {key: plan for key, plan in made.items() if plan is not None}
    return plans
