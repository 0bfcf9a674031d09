"""What a study would do: trainings, episodes and time of each claim, the earlier ones done."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from claims.designs import Arm, Design
from claims.laboratory import PACE
from claims.study import MAIN, Study
from metaplan.core import RunError
from metaplan.environments import get_benchmark
from metaplan.episodes import RunStore
from metaplan.recipes.config import TaskSetConfig

__all__ = ["Step", "estimate"]

# On two cores that have nothing else to do, with models of a million parameters.
_TRAINING_S = 15.0
_TASK_S = 0.025  # to read a training task and to ask the expert
_EPISODE_S = 0.1  # where an agent has not played yet


@dataclass(frozen=True)
class Step:
    """A claim's share of the work, the earlier claims' done.

    Attributes:
        trainings: Of planners.
        explored: Episodes to score sampled plans, at most: equal plans share them.
        evaluated: Episodes with test tasks, at most: equal plans share them.
        seconds: A guess: from the agents' own pace where they have played.
    """

    key: str
    trainings: int
    explored: int
    evaluated: int
    seconds: float


def estimate(study: Study, chosen: Iterable[Design]) -> Iterator[Step]:
    """The steps of a study from its beginning; what is done already is not taken off."""
    explore = study.config.explore
    m, n, most = explore.plans_per_task, explore.episodes_per_plan, max(study.plan.curves.counts)
    train = _size(study, study.config.tasks.train)
    explored_tasks = explore.tasks or train
    sizes = {split: _size(study, wanted) for split, wanted in study.config.tasks.evaluate.items()}
    paces = {agent: _pace(study.arena(agent)[1]) for agent in study.agents}
    known: set[Arm] = set()
    for design in chosen:
        new = set(design.arms()) - known
        seeds = {arm.seed for arm in new} - {arm.seed for arm in known} - {None}
        points = {(arm.way.method, arm.seed) for arm in new if "=" in arm.way.method}
        curves = {seed for _, seed in points}
        known |= new
        trainings = 3 * len(seeds) + len(points)
        further = (most - m) * n + m * (most - n)  # episodes a task, beyond the recipe's M x N
        explored = explored_tasks * (len(seeds) * m * n + len(curves) * further)
        played = Counter({arm.way.agent: 0 for arm in new})
        for arm in new:
            played[arm.way.agent] += sizes[arm.way.split]
        yield Step(
            key=design.key,
            trainings=trainings,
            explored=explored,
            evaluated=played.total(),
            seconds=trainings * _TRAINING_S
            + len(seeds) * train * _TASK_S
            + explored * paces[MAIN]
            + sum(count * paces[agent] for agent, count in played.items()),
        )


def _size(study: Study, wanted: TaskSetConfig) -> int:
    return wanted.count or len(get_benchmark(study.config.benchmark).tasks(wanted.task_set))


def _pace(directory: Path) -> float:
    """Seconds per episode, as measured there."""
    try:
        with RunStore(directory, read_only=True) as store:
            return float(store.fact(PACE) or _EPISODE_S)
    except (RunError, sqlite3.Error):
        return _EPISODE_S
