"""What a study would do: trainings, episodes and time of each claim, the earlier ones done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from claims.designs import Arm, Design
from claims.laboratory import PACE
from claims.study import MAIN, Study
from metaplan.core import RunError
from metaplan.environments import get_benchmark
from metaplan.episodes import RunStore

__all__ = ["Step", "estimate"]

_TRAINING_S = 20.0
_EPISODE_S = 0.06  # where an agent has not played yet: a small one, on two cores


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
    """The steps of a study; what a directory holds already is not taken off."""
    known: set[Arm] = set()
    sizes = _split_sizes(study)
    paces = {agent: _pace(study.arena(agent)[1]) for agent in study.agents}
    for design in chosen:
        new = set(design.arms()) - known
        trainings, explored = _optimized(study, new, known)
        known |= new
        playing: dict[str, int] = dict.fromkeys(study.agents, 0)
        for arm in new:
            playing[arm.way.agent] += sizes[arm.way.split]
        seconds = trainings * _TRAINING_S + explored * paces[MAIN]
        seconds += sum(count * paces[agent] for agent, count in playing.items())
        yield Step(design.key, trainings, explored, sum(playing.values()), seconds)


def _optimized(study: Study, new: set[Arm], known: set[Arm]) -> tuple[int, int]:
    """Trainings and exploration that arms ask for: a seed's pipeline, and C6's points."""
    explore = study.config.explore
    m, n = explore.plans_per_task, explore.episodes_per_plan
    tasks = explore.tasks or study.config.tasks.train.count or 0
    trained_seeds = {arm.seed for arm in known} - {None}
    pipelines = {arm.seed for arm in new} - {None} - trained_seeds
    points = {(arm.way.method, arm.seed) for arm in new if "=" in arm.way.method}
    curves = {seed for _, seed in points}
    most = max(study.plan.curves.counts)
    more = most * n + m * most - m * n - m * n
    explored = len(pipelines) * tasks * m * n + len(curves) * tasks * more
    return 3 * len(pipelines) + len(points), explored


def _split_sizes(study: Study) -> dict[str, int]:
    benchmark = get_benchmark(study.config.benchmark)
    return {
        split: wanted.count or len(benchmark.tasks(wanted.task_set))
        for split, wanted in study.config.tasks.evaluate.items()
    }


def _pace(directory: Path) -> float:
    """Seconds per episode, as measured there."""
    try:
        with RunStore(directory, read_only=True) as store:
            return float(store.fact(PACE) or _EPISODE_S)
    except (RunError, sqlite3.Error):
        return _EPISODE_S
