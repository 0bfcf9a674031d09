"""What exploration teaches: preference pairs for DPO, best plans for RFT (paper, 3.3 and 5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from metaplan.core import MetaPlan, PlanParseError, PlanScore, PreferencePair, Task
from metaplan.planners import read_jsonl, wrong_line

__all__ = ["best_plans", "preference_pairs", "read_pairs"]


def preference_pairs(scores: Iterable[PlanScore]) -> list[PreferencePair]:
    """Best against worst plan of each task (equation 7).

    Tasks whose plans all have the same score are skipped, by value. Among plans that share the
    highest or the lowest score, the one with the smallest key is taken: any is as good, and the
    choice must not depend on the order of sampling.

    Args:
        scores: Of complete plans, in any order.

    Returns:
        At most one pair a task, sorted by task key.
    """
    pairs = []
    for task_key, plans in _by_task(scores):
        best = min(plans, key=lambda score: (-score.mean, score.plan.key))
        worst = min(plans, key=lambda score: (score.mean, score.plan.key))
        if best.mean > worst.mean:
            pairs.append(
                PreferencePair(
                    task_key=task_key,
                    chosen=best.plan,
                    rejected=worst.plan,
                    chosen_score=best.mean,
                    rejected_score=worst.mean,
                )
            )
    return pairs


def best_plans(scores: Iterable[PlanScore]) -> list[PlanScore]:
    """The plans of rejection sampling fine-tuning: the best of each task, if it ever worked.

    Args:
        scores: Of complete plans, in any order.

    Returns:
        At most one a task, with a score above 0; ties by plan key; sorted by task key.
    """
    bests = (
        min(plans, key=lambda score: (-score.mean, score.plan.key)) for _, plans in _by_task(scores)
    )
    return [best for best in bests if best.mean > 0.0]


def read_pairs(path: Path, tasks: Mapping[str, Task]) -> list[PreferencePair]:
    """Preference pairs: ``task_key``, ``chosen`` and ``rejected`` (plan texts or TRL messages).

    Raises:
        DataError: Names the file and the line, and says what would be right.
    """
    return [_pair(path, number, record, tasks) for number, record in read_jsonl(path)]


def _pair(
    path: Path, number: int, record: Mapping[str, Any], tasks: Mapping[str, Task]
) -> PreferencePair:
    key = record.get("task_key")
    if not isinstance(key, str) or key not in tasks:
        raise wrong_line(path, number, f"task_key {key!r} is not among the run's training tasks")
    try:
        chosen = MetaPlan.parse(_plan_text(record.get("chosen")))
        rejected = MetaPlan.parse(_plan_text(record.get("rejected")))
    except PlanParseError:
        raise wrong_line(
            path, number, "'chosen' and 'rejected' must be plans with numbered steps"
        ) from None
    if chosen == rejected:
        raise wrong_line(path, number, "'chosen' and 'rejected' are the same plan")
    try:
        return PreferencePair(
            task_key=key,
            chosen=chosen,
            rejected=rejected,
            chosen_score=record.get("chosen_score", 1.0),
            rejected_score=record.get("rejected_score", 0.0),
        )
    except ValidationError as error:
        field = error.errors()[0]["loc"][0]
        raise wrong_line(path, number, f"'{field}' must be a number from 0 to 1") from None


def _plan_text(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        value = value[-1].get("content")
    return value if isinstance(value, str) else ""


def _by_task(scores: Iterable[PlanScore]) -> list[tuple[str, list[PlanScore]]]:
    groups: dict[str, list[PlanScore]] = {}
    for score in scores:
        groups.setdefault(score.task_key, []).append(score)
    return sorted(groups.items())
