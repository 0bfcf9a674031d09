"""What exploration teaches: preference pairs for DPO, best plans for RFT (paper, 3.3 and 5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from metaplan.core import MetaPlan, PlanParseError, PlanScore, PreferencePair, Task
from metaplan.exploration.belief import SMALLEST_GAP, Evidence, Played, believe
from metaplan.planners import read_jsonl, wrong_line
from metaplan.recipes.config import Ties

__all__ = ["best_plans", "preference_pairs", "read_pairs"]


def preference_pairs(scores: Iterable[PlanScore], ties: Ties = "one") -> list[PreferencePair]:
    """Best against worst plan of each task (equation 7).

    Tasks whose plans all have the same score are skipped, by value. Among plans that share the
    highest or the lowest score, the one with the smallest key is taken: any is as good, and the
    choice must not depend on the order of sampling. Or all are, as far as each has a partner: where
    a plan either leads to the goal or does not, most plans of a task share a score, and a single
    pair leaves out most of what was found.

    A plan that was merged from a task's others is taken before these where they share the highest
    score, and with ``all`` it is held against every one that shares the lowest: it knows what they
    know together, and there is one of it.

    Where plans were played unequally often, means can't be compared: one success in one episode is
    less than nine in ten. Then plans are compared by what is believed of them
    (`metaplan.exploration.belief`), the pair has these values as its scores, and tasks with a gap
    that is hardly any are skipped.

    Args:
        scores: Of complete plans, in any order.
        ties: Whether ``one`` or ``all`` of the plans with the highest and the lowest score are
            taken.

    Returns:
        Sorted by task key; with ``one``, at most one pair a task.
    """
    pairs = []
    compared = _compared(list(scores))
    for task_key, plans in compared.tasks:
        high, low = plans[0][0], plans[-1][0]
        if high - low > compared.smallest_gap:
            best_of_all, worst_of_all = (_sharing(q, plans, ties) for q in (high, low))
            if merged := [plan for own, plan in plans if own == high and plan.merged]:
                best_of_all = merged * len(worst_of_all)
            pairs += [
                PreferencePair(
                    task_key=task_key,
                    chosen=best.plan,
                    rejected=worst.plan,
                    chosen_score=high,
                    rejected_score=low,
                )
                for best, worst in zip(best_of_all, worst_of_all, strict=False)
            ]
    return pairs


def best_plans(scores: Iterable[PlanScore], ties: Ties = "one") -> list[PlanScore]:
    """The plans of rejection sampling fine-tuning: the best of each task, if it ever worked.

    Args:
        scores: Of complete plans, in any order; compared as in `preference_pairs`.
        ties: Whether ``one`` or ``all`` of the plans with the highest score are taken.

    Returns:
        With a score above 0, sorted by task key and plan key; with ``one``, at most one a task.
    """
    bests = [
        best
        for _, plans in _compared(list(scores)).tasks
        for best in _sharing(plans[0][0], plans, ties)
    ]
    return [best for best in bests if best.mean > 0.0]


def _sharing(score: float, plans: Sequence[tuple[float, PlanScore]], ties: Ties) -> list[PlanScore]:
    """The plans with a score, in the order of their keys; or the first of them."""
    sharing = [plan for own, plan in plans if own == score]
    return sharing if ties == "all" else sharing[:1]


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


@dataclass(frozen=True)
class _Compared:
    """Plans with the `Q(p)` by which they are compared, the best first, by task."""

    tasks: Sequence[tuple[str, Sequence[tuple[float, PlanScore]]]]
    smallest_gap: float


def _compared(scores: Sequence[PlanScore]) -> _Compared:
    groups: dict[str, list[PlanScore]] = {}
    for score in scores:
        groups.setdefault(score.task_key, []).append(score)
    tasks = sorted(groups.items())
    if len({score.count for score in scores}) <= 1:
        estimates = [[score.mean for score in plans] for _, plans in tasks]
        smallest_gap = 0.0
    else:
        belief = believe(Evidence.of([[_played(score) for score in plans] for _, plans in tasks]))
        estimates = belief.mean.round(9).tolist()
        smallest_gap = SMALLEST_GAP
    return _Compared(
        [
            (task_key, sorted(zip(means, plans, strict=False), key=_highest_first))
            for (task_key, plans), means in zip(tasks, estimates, strict=True)
        ],
        smallest_gap,
    )


def _played(score: PlanScore) -> Played:
    total = score.mean * score.count
    spread = score.standard_error**2 * score.count * (score.count - 1)
    return score.count, total, total * score.mean + spread


def _highest_first(plan: tuple[float, PlanScore]) -> tuple[float, str]:
    return -plan[0], plan[1].plan.key
