"""Which plots a report holds, and what each is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metaplan.evaluation import Difference, ResultRow
from metaplan.reports import plots
from metaplan.reports.comparison import MethodComparison
from metaplan.reports.exploration import ExplorationSummary
from metaplan.reports.plots import Mark
from metaplan.reports.wording import (
    interval,
    method_label,
    metric_label,
    signed_interval,
    value,
    visible,
)

__all__ = [
    "Figure",
    "curve_figures",
    "difference_figures",
    "exploration_figures",
    "interval_figures",
    "task_type_figures",
]

_CURVES = {
    "loss": ("loss", "eval_loss"),
    "implicit reward of chosen and rejected plans": ("rewards/chosen", "rewards/rejected"),
    "log-probability of chosen and rejected plans": ("logps/chosen", "logps/rejected"),
    "share of pairs ranked right": ("rewards/accuracies", "eval_rewards/accuracies"),
}
"""Caption to the names in TRL's log. A DPO margin can grow while the chosen plans' log-probability
falls, so both are shown."""


@dataclass(frozen=True)
class Figure:
    """A plot under its caption; `svg` is trusted markup made by `plots`."""

    caption: str
    svg: str


def _unit(metric: str) -> float:
    """The factor between a metric and its printed unit."""
    return 1.0 if metric == "reward_per_step" else 100.0


def _mark(row: ResultRow, label: str) -> Mark:
    unit = _unit(row.metric)
    text = f"{value(row.metric, row.mean)} {interval(row)}"
    return Mark(label, row.method, unit * row.mean, unit * row.ci_low, unit * row.ci_high, text)


def interval_figures(comparison: MethodComparison, metric: str) -> list[Figure]:
    """Per split: every method's mean with its interval."""
    lines = {}
    for split in comparison.splits:
        rows = [comparison.row(split, method, metric) for method in comparison.methods]
        lines[split] = [_mark(row, visible(method_label(row.method))) for row in rows if row]
    bounds = None if metric == "reward_per_step" else (0.0, 100.0)
    return _per_split(lines, metric, bounds, around_zero=False)


def difference_figures(comparison: MethodComparison, metric: str) -> list[Figure]:
    """Per split: every pair of methods, paired over tasks."""
    lines = {}
    for split in comparison.splits:
        found = [comparison.difference(split, a, b, metric) for a, b in comparison.pairs]
        lines[split] = [_difference_mark(difference) for difference in found if difference]
    return _per_split(lines, metric, None, around_zero=True)


def _per_split(
    lines: Mapping[str, Sequence[Mark]],
    metric: str,
    bounds: tuple[float, float] | None,
    *,
    around_zero: bool,
) -> list[Figure]:
    """One plot per split that has marks; without bounds, all get the same that fit them all."""
    shown = {split: marks for split, marks in lines.items() if marks}
    if not shown:
        return []
    shared = bounds or plots.fitted(mark for marks in shown.values() for mark in marks)
    figures = []
    for split, marks in shown.items():
        title = metric_label(metric, visible(split))
        # The plot in words, for those who don't see it.
        words = f"{title}. " + "; ".join(f"{mark.label}: {mark.text}" for mark in marks)
        drawn = plots.intervals(marks, label=words, bounds=shared, around_zero=around_zero)
        figures.append(Figure(title, drawn))
    return figures


def _difference_mark(found: Difference) -> Mark:
    unit = _unit(found.metric)
    names = f"{method_label(found.a)} \N{MINUS SIGN} {method_label(found.b).lower()}"
    if found.b != "none":
        names = f"{method_label(found.a)} \N{MINUS SIGN} {method_label(found.b)}"
    return Mark(
        label=visible(names),
        method=found.a,
        value=unit * found.difference,
        low=unit * found.ci_low,
        high=unit * found.ci_high,
        text=f"{value(found.metric, found.difference, signed=True)} {signed_interval(found)}",
    )


def task_type_figures(comparison: MethodComparison, metric: str) -> list[Figure]:
    """Per split with several task types: the methods within each type."""
    figures = []
    for split in comparison.splits:
        groups: dict[str, list[Mark]] = {}
        for kind in comparison.task_types(split):
            rows = [comparison.row(split, m, metric, kind) for m in comparison.methods]
            tasks = comparison.tasks(split, kind)
            name = f"{visible(kind)}, {tasks} task{'s' * (tasks != 1)}"
            groups[name] = [_mark(row, visible(method_label(row.method))) for row in rows if row]
        if len(groups) < 2:
            continue
        caption = metric_label(metric, visible(split))
        label = f"{caption}, per task type. The numbers are in the table below."
        figures.append(
            Figure(caption, plots.dots_by_group(groups, label=label, bounds=(0.0, 100.0)))
        )
    return figures


def exploration_figures(summary: ExplorationSummary) -> list[Figure]:
    """How good the sampled plans were, and how far apart within a task."""
    quality = "Plan quality Q: mean reward of a plan's episodes"
    spread = "Spread: best minus worst Q of a task"
    figures = [Figure(quality, plots.histogram(summary.qualities, label=quality, x="Q", y="plans"))]
    if summary.spreads:
        drawn = plots.histogram(
            summary.spreads, label=spread, x="best Q \N{MINUS SIGN} worst Q", y="tasks"
        )
        figures.append(Figure(spread, drawn))
    return figures


def curve_figures(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> list[Figure]:
    """The training curves of every stage, of the numbers worth watching."""
    figures = []
    for stage, entries in curves.items():
        for what, names in _CURVES.items():
            lines = {
                name: [(e["step"], e[name]) for e in entries if name in e and "step" in e]
                for name in names
            }
            lines = {name: points for name, points in lines.items() if points}
            if lines:
                caption = f"{visible(method_label(stage))}: {what}"
                figures.append(Figure(caption, plots.curves(lines, method=stage, label=caption)))
    return figures
