"""Expert trajectories → seed plans, with quality control (paper, section 3.1 and Appendix C)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from metaplan.core import DataError, ExpertTrajectory, MetaPlan, Task
from metaplan.planners import PlanProblem, lint_plan

__all__ = ["SeedPlan", "SeedPlans", "collect_seed_plans"]


@dataclass(frozen=True, kw_only=True)
class SeedPlan:
    """A plan summarised from one expert trajectory: ``(u, p)`` of equation 3.

    Attributes:
        problems: What the linter found; empty for a plan that may be trained on.
    """

    task: Task
    plan: MetaPlan
    problems: tuple[PlanProblem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SeedPlans:
    """The seed plan set and what was kept out of it.

    Attributes:
        accepted: Without problems, sorted by task key.
        for_review: With problems: they wait for a person, nothing is silently kept.
        unsolved: Keys of tasks that the expert did not solve: no plan is made from those.
        untold: Keys of solved tasks whose trajectory does nothing that a plan could tell.
    """

    accepted: tuple[SeedPlan, ...]
    for_review: tuple[SeedPlan, ...] = ()
    unsolved: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()


def collect_seed_plans(
    trajectories: Iterable[ExpertTrajectory],
    summarise: Callable[[ExpertTrajectory], MetaPlan],
    action_templates: tuple[str, ...],
) -> SeedPlans:
    """Summarises solved trajectories into plans and lints them.

    Args:
        trajectories: Of experts.
        summarise: The benchmark's rule (`Benchmark.summarise`).
        action_templates: The benchmark's actions, for the linter.
    """
    accepted: list[SeedPlan] = []
    for_review: list[SeedPlan] = []
    unsolved: list[str] = []
    untold: list[str] = []
    for trajectory in sorted(trajectories, key=lambda trajectory: trajectory.task.key):
        if not trajectory.success:
            unsolved.append(trajectory.task.key)
            continue
        try:
            plan = summarise(trajectory)
        except DataError:
            untold.append(trajectory.task.key)
            continue
        problems = lint_plan(plan, action_templates)
        seed = SeedPlan(task=trajectory.task, plan=plan, problems=problems)
        (for_review if problems else accepted).append(seed)
    return SeedPlans(
        accepted=tuple(accepted),
        for_review=tuple(for_review),
        unsolved=tuple(unsolved),
        untold=tuple(untold),
    )
