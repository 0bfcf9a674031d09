"""What exploration found, in a few numbers (paper, sections 3.2 and 3.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from metaplan.core import PlanScore, PreferencePair

__all__ = ["ExplorationSummary", "summarise"]


@dataclass(frozen=True)
class ExplorationSummary:
    """Plan quality over all explored tasks.

    Attributes:
        qualities: `Q(p)` of every plan.
        spreads: Best minus worst `Q` of every task that has at least two plans.
        ties: Tasks whose plans all score the same: no pair.
        mean_merged: Mean `Q` of the plans that were merged from others; None without such.
        mean_gap: Chosen minus rejected score, averaged over pairs; 0 without pairs.
    """

    tasks: int
    episodes: int
    qualities: tuple[float, ...]
    spreads: tuple[float, ...]
    mean: float
    mean_best: float
    mean_worst: float
    mean_merged: float | None
    mean_standard_error: float
    ties: int
    pairs: int
    mean_gap: float


def summarise(
    scores: Sequence[PlanScore], pairs: Sequence[PreferencePair]
) -> ExplorationSummary | None:
    """Sums up an exploration; None if there was none."""
    if not scores:
        return None
    by_task: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        by_task[score.task_key].append(score.mean)
    spreads = [max(means) - min(means) for means in by_task.values() if len(means) > 1]
    merged = [score.mean for score in scores if score.merged]
    gaps = [pair.chosen_score - pair.rejected_score for pair in pairs]
    return ExplorationSummary(
        tasks=len(by_task),
        episodes=sum(score.count for score in scores),
        qualities=tuple(score.mean for score in scores),
        spreads=tuple(spreads),
        mean=fmean(map(fmean, by_task.values())),
        mean_best=fmean(map(max, by_task.values())),
        mean_worst=fmean(map(min, by_task.values())),
        mean_merged=fmean(merged) if merged else None,
        mean_standard_error=fmean(score.standard_error for score in scores),
        ties=sum(spread == 0.0 for spread in spreads),
        pairs=len(pairs),
        mean_gap=fmean(gaps) if gaps else 0.0,
    )
