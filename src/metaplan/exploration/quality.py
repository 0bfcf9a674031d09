"""Monte Carlo plan quality: which episodes to run, and what they say (paper, section 3.2)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from metaplan.core import EpisodeSpec, MetaPlan, Placement, PlanScore, Task
from metaplan.exploration.allocation import Planned, Rewards

__all__ = ["exploration_specs", "incomplete_plans", "plan_scores", "rewards_of", "score_of"]


def exploration_specs(
    episodes: Iterable[Planned],
    plans: Mapping[str, Mapping[str, MetaPlan]],
    tasks: Mapping[str, Task],
    *,
    placement: Placement,
    environments: Mapping[str, str],
    agent: str,
    round: int = 0,
) -> list[EpisodeSpec]:
    """The planned episodes, in full (equation 5).

    Args:
        episodes: Which, as an allocation names them.
        plans: By task key and plan key.
        tasks: By task key.
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
            plan=plans[task_key][plan_key],
            placement=placement,
            agent=agent,
            repetition=repetition,
        )
        for task_key, plan_key, repetition in episodes
    ]


def rewards_of(
    specs: Iterable[EpisodeSpec], rewards: Mapping[str, float]
) -> dict[tuple[str, str], list[float | None]]:
    """What each plan earned in its planned episodes.

    Args:
        specs: The planned episodes.
        rewards: Of the finished episodes, by key. Void ones are not among them.

    Returns:
        By (task key, plan key), in the order of the specs; None for an episode that is missing.
    """
    earned: dict[tuple[str, str], list[float | None]] = {}
    for spec in specs:
        if spec.plan is not None:
            plan = (spec.task.key, spec.plan.key)
            earned.setdefault(plan, []).append(rewards.get(spec.key))
    return earned


def plan_scores(plans: Mapping[str, Mapping[str, MetaPlan]], rewards: Rewards) -> list[PlanScore]:
    """`Q(p)` of every plan whose episodes are all there (equation 6).

    Args:
        plans: By task key and plan key.
        rewards: As from `rewards_of`.

    Returns:
        One score for each (task, plan), in the order of the rewards. A plan that lacks an episode
        has none: see `incomplete_plans`.
    """
    scores = []
    for (task_key, plan_key), earned in rewards.items():
        found = [reward for reward in earned if reward is not None]
        if len(found) == len(earned):
            scores.append(score_of(task_key, plans[task_key][plan_key], found))
    return scores


def incomplete_plans(rewards: Rewards) -> list[tuple[str, str]]:
    """(task key, plan key) of the plans that lack episodes: reported, and in no pair."""
    return [plan for plan, earned in rewards.items() if None in earned]


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
