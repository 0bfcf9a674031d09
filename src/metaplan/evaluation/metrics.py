"""What is measured on an episode, and how a task's episodes become one number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

from metaplan.core import Episode

__all__ = ["COMPARED", "METRICS", "Metric", "TaskMeans", "task_means"]

TaskMeans: TypeAlias = Mapping[str, tuple[float, ...]]
"""Task key to the means over the task's episodes: all numerators, then all denominators."""


def _one(_: Episode) -> float:
    return 1.0


def _reward_per_step(episode: Episode) -> float:
    return episode.reward / episode.steps if episode.steps else 0.0


@dataclass(frozen=True)
class Metric:
    """A ratio of two means over tasks.

    Attributes:
        numerator: Of one episode.
        denominator: Of one episode; 1 for a plain mean.
    """

    numerator: Callable[[Episode], float]
    denominator: Callable[[Episode], float] = _one


METRICS: Mapping[str, Metric] = {
    "reward": Metric(lambda episode: episode.reward),
    "success": Metric(lambda episode: float(episode.success)),
    # Paper, section 5.3: final reward over steps for each task, averaged over the test set.
    "reward_per_step": Metric(_reward_per_step),
    "steps": Metric(lambda episode: float(episode.steps)),
    # Shares of all steps, so long episodes weigh more.
    "invalid_action_rate": Metric(
        lambda episode: float(episode.invalid_actions), lambda episode: float(episode.steps)
    ),
    "format_error_rate": Metric(
        lambda episode: float(episode.format_errors), lambda episode: float(episode.steps)
    ),
}
"""Name, as in `results.json`, to the metric."""

COMPARED = ("success", "reward", "reward_per_step")
"""The metrics whose paired differences between methods are reported: all plain means."""


def task_means(episodes: Iterable[Episode]) -> dict[str, tuple[float, ...]]:
    """Averages each task's episodes; void ones don't count, nor do tasks that have no others.

    Returns:
        Task key to all metrics' numerators, then all metrics' denominators, in the order of
        `METRICS`; sorted by key, so that the episodes' order has no influence on anything.
    """
    by_task: dict[str, list[Episode]] = defaultdict(list)
    for episode in episodes:
        if not episode.stop_reason.is_void:
            by_task[episode.task_key].append(episode)
    measures = [metric.numerator for metric in METRICS.values()]
    measures += [metric.denominator for metric in METRICS.values()]
    return {
        key: tuple(fmean(sorted(map(measure, by_task[key]))) for measure in measures)
        for key in sorted(by_task)
    }
