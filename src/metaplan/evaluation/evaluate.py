"""From arms to results: means, intervals, paired differences, coverage."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from metaplan.core import Placement
from metaplan.evaluation.bootstrap import bootstrap
from metaplan.evaluation.metrics import COMPARED, METRICS, TaskMeans, task_means
from metaplan.evaluation.records import (
    ALL,
    Arm,
    Coverage,
    Difference,
    ResultRow,
    Results,
    method_order,
    method_pairs,
)

__all__ = ["evaluate"]


class _Group(NamedTuple):
    """The arms that differ in their training seed only."""

    benchmark: str
    split: str
    agent: str
    planner: str
    method: str
    placement: Placement | None


def evaluate(arms: Iterable[Arm], *, seed: int = 0) -> Results:
    """Measures arms and compares the methods among them.

    A task counts once: the mean over its episodes, then over training seeds, then over tasks.
    Intervals are over tasks; they say how far another draw of tasks might move the number, not
    how far another training run might.

    Args:
        arms: At most one per (benchmark, split, agent, planner, method, placement, seed).
        seed: Of the bootstrap.

    Returns:
        Rows per seed and over seeds, overall and per task type; paired differences of all pairs
        of methods within (benchmark, split, agent, placement); coverage of every arm.

    Raises:
        ValueError: An arm is given twice, or a method has two planners in one comparison.
    """
    groups: dict[_Group, dict[str | int, Arm]] = defaultdict(dict)
    for arm in arms:
        seeds = groups[_group(arm)]
        if arm.seed in seeds:
            raise ValueError(f"arm given twice: {_group(arm)}, seed {arm.seed}")
        seeds[arm.seed] = arm

    rows: list[ResultRow] = []
    pooled: dict[_Group, TaskMeans] = {}
    coverage: list[Coverage] = []
    for group in _in_order(groups):
        seeds = groups[group]
        types = {key: kind for arm in seeds.values() for key, kind in arm.task_types.items()}
        by_seed = {label: task_means(arm.episodes) for label, arm in seeds.items()}
        pooled[group] = _over_seeds(list(by_seed.values()))
        rows += _rows(group, ALL, pooled[group], types, seed)
        for label, means in by_seed.items():
            if label != ALL:
                rows += _rows(group, label, means, types, seed)
        coverage += map(_coverage, seeds.values())
    return Results(
        rows=tuple(rows),
        differences=tuple(_differences(pooled, seed)),
        coverage=tuple(coverage),
    )


def _group(arm: Arm) -> _Group:
    return _Group(arm.benchmark, arm.split, arm.agent, arm.planner, arm.method, arm.placement)


def _in_order(groups: Iterable[_Group]) -> list[_Group]:
    """Benchmarks, splits and agents as given; within them methods as in the paper's tables."""
    listed = list(groups)
    order = method_order(group.method for group in listed)
    settings = list(dict.fromkeys(group[:3] for group in listed))
    return sorted(listed, key=lambda g: (settings.index(g[:3]), order.index(g.method)))


def _over_seeds(seeds: Sequence[TaskMeans]) -> TaskMeans:
    """The mean over the seeds that have the task."""
    tasks = sorted({key for means in seeds for key in means})
    found = {key: [means[key] for means in seeds if key in means] for key in tasks}
    return {key: tuple(map(fmean, zip(*values, strict=True))) for key, values in found.items()}


def _rows(
    group: _Group, label: str | int, means: TaskMeans, types: Mapping[str, str], seed: int
) -> list[ResultRow]:
    """All metrics, over all tasks and then per task type."""
    chosen: dict[str, list[tuple[float, ...]]] = {ALL: list(means.values())}
    for task_type in sorted({types[key] for key in means}):
        chosen[task_type] = [values for key, values in means.items() if types[key] == task_type]
    rows = []
    for task_type, values in chosen.items():
        if not values:
            continue
        columns = list(zip(*values, strict=True))
        intervals = bootstrap(columns[: len(METRICS)], columns[len(METRICS) :], seed=seed)
        rows += [
            ResultRow(
                **group._asdict(),
                task_type=task_type,
                seed=label,
                metric=metric,
                mean=interval.value,
                ci_low=interval.low,
                ci_high=interval.high,
                n=len(values),
            )
            for metric, interval in zip(METRICS, intervals, strict=True)
        ]
    return rows


def _differences(pooled: Mapping[_Group, TaskMeans], seed: int) -> list[Difference]:
    """Every pair of methods, at every placement that plans were put in."""
    comparisons = dict.fromkeys((g.benchmark, g.split, g.agent) for g in pooled)
    differences = []
    for benchmark, split, agent in comparisons:
        inside = {g: m for g, m in pooled.items() if g[:3] == (benchmark, split, agent)}
        placements = dict.fromkeys(g.placement for g in inside if g.placement is not None)
        for placement in placements or (None,):
            by_method: dict[str, TaskMeans] = {}
            for group, means in inside.items():
                if group.placement not in (placement, None):
                    continue
                if group.method in by_method:
                    raise ValueError(
                        f"{benchmark}/{split}, {agent}: method {group.method!r} has two planners; "
                        "give each its own method name"
                    )
                by_method[group.method] = means
            for a, b in method_pairs(by_method):
                compared = _paired(by_method[a], by_method[b], seed)
                differences += [
                    Difference(
                        benchmark=benchmark,
                        split=split,
                        agent=agent,
                        placement=placement,
                        metric=metric,
                        a=a,
                        b=b,
                        **numbers,
                    )
                    for metric, numbers in compared.items()
                ]
    return differences


def _paired(a: TaskMeans, b: TaskMeans, seed: int) -> dict[str, dict[str, float]]:
    """Per metric: difference, its interval and n, over the tasks that both have."""
    common = [key for key in a if key in b]
    if not common:
        return {}
    places = [list(METRICS).index(metric) for metric in COMPARED]
    changes = [[a[key][at] - b[key][at] for key in common] for at in places]
    return {
        metric: {
            "difference": interval.value,
            "ci_low": interval.low,
            "ci_high": interval.high,
            "n": len(common),
        }
        for metric, interval in zip(COMPARED, bootstrap(changes, seed=seed), strict=True)
    }


def _coverage(arm: Arm) -> Coverage:
    measured = [episode for episode in arm.episodes if not episode.stop_reason.is_void]
    void = Counter(e.stop_reason.value for e in arm.episodes if e.stop_reason.is_void)
    return Coverage(
        **_group(arm)._asdict(),
        seed=arm.seed,
        tasks_planned=len(arm.task_types),
        tasks_measured=len({episode.task_key for episode in measured}),
        episodes_planned=arm.planned,
        episodes_measured=len(measured),
        void=dict(sorted(void.items())),
    )
