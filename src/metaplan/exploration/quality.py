"""Monte Carlo plan quality: which episodes to run, and what they say (paper, section 3.2)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from metaplan.core import Episode, EpisodeSpec, MetaPlan, Placement, PlanScore, Task

__all__ = ["exploration_specs", "incomplete_plans", "plan_scores", "score_of"]


def exploration_specs(
    plans: Mapping[str, Sequence[MetaPlan]],
    tasks: Mapping[str, Task],
    *,
    episodes_per_plan: int,
    placement: Placement,
    environments: Mapping[str, str],
    agent: str,
    round: int = 0,
) -> list[EpisodeSpec]:
    """The planned episodes: N for each distinct plan of each task (equation 5).

    Equal samples of a task share their episodes, as they are the same plan.

    Args:
        plans: Sampled plans by task key.
        tasks: By task key.
        episodes_per_plan: N.
        placement: Where the plan goes.
        environments: Environment fingerprint by task key.
        agent: Fingerprint of the exploring agent.
        round: 0 until MPO is iterated.
    """
    return [
        EpisodeSpec(
            round=round,
            task=tasks[task_key],
            environment=environments[task_key],
            plan=plan,
            placement=placement,
            agent=agent,
            repetition=repetition,
        )
        for task_key, samples in plans.items()
        for plan in {plan.key: plan for plan in samples}.values()
        for repetition in range(episodes_per_plan)
    ]


def plan_scores(specs: Iterable[EpisodeSpec], episodes: Mapping[str, Episode]) -> list[PlanScore]:
    """`Q(p)` of every plan whose episodes are all there (equation 6).

    Args:
        specs: The planned episodes.
        episodes: Finished episodes by key. Void ones are not among them.

    Returns:
        One score for each (task, plan), in the order of the specs. A plan that lacks an episode
        has none: see `incomplete_plans`.
    """
    scores = []
    for (task_key, _), planned in _by_plan(specs).items():
        if any(spec.key not in episodes for spec in planned):
            continue
        plan = planned[0].plan
        assert plan is not None  # noqa: S101  exploration always has a plan
        rewards = [episodes[spec.key].reward for spec in planned]
        scores.append(score_of(task_key, plan, rewards))
    return scores


def incomplete_plans(
    specs: Iterable[EpisodeSpec], episodes: Mapping[str, Episode]
) -> list[tuple[str, str]]:
    """(task key, plan key) of the plans that lack episodes: reported, and in no pair."""
    return [
        (task_key, plan_key)
        for (task_key, plan_key), planned in _by_plan(specs).items()
        if any(spec.key not in episodes for spec in planned)
    ]


def score_of(task_key: str, plan: MetaPlan, rewards: Sequence[float]) -> PlanScore:
    """The mean reward with its standard error.

    The mean is that of the exact sum, rounded once: the order never matters, and plans with the
    same rewards have the same score to the last bit, as the comparison of scores by value needs.
    """
    count = len(rewards)
    mean = statistics.mean(rewards)
    spread = math.fsum((reward - mean) ** 2 for reward in rewards)
    standard_error = math.sqrt(spread / (count - 1) / count) if count > 1 else 0.0
    return PlanScore(
        task_key=task_key,
        plan=plan,
        mean=mean,
        standard_error=standard_error,
        count=count,
    )


def _by_plan(specs: Iterable[EpisodeSpec]) -> dict[tuple[str, str], list[EpisodeSpec]]:
    groups: dict[tuple[str, str], list[EpisodeSpec]] = {}
    for spec in specs:
        if spec.plan is not None:
            groups.setdefault((spec.task.key, spec.plan.key), []).append(spec)
    return groups
