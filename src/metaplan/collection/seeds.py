"""Attempts at seed plans, and what becomes of them (paper, section 3.1 and Appendix C).

Whoever summarises, a rule or a language model, leaves *attempts*: texts with what was found wrong
in them. The last attempt decides: without problems its plan is trained on, else it waits for a
person. Every trajectory ends in exactly one field of `SeedPlans`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from metaplan.core import DataError, ExpertTrajectory, MetaPlan, PlanParseError, Record, Task
from metaplan.planners import PlanProblem, lint_plan

__all__ = [
    "Attempt",
    "Decision",
    "OpenCase",
    "SeedPlan",
    "SeedPlans",
    "by_rule",
    "examine",
    "sort_out",
]


class Attempt(Record):
    """One try at telling a trajectory as a plan.

    Attributes:
        by: The benchmark's ``rule``; a model's ``summary``; a model's ``extraction`` of the plan
            from the summary before, whose format was wrong.
        text: As the rule or the model wrote it.
        plan: What could be read in it.
        problems: What the linter found.
        trouble: What kept the model from a whole answer; empty where nothing did.
        temperature: Of the model.
        shortened: Whether the model saw observations cut short, to fit its context.
        unanswered: Whether there was no answer at all; the next collection asks again, until a
            planner has been trained.
    """

    by: Literal["rule", "summary", "extraction"]
    text: str
    plan: MetaPlan | None = None
    problems: tuple[PlanProblem, ...] = ()
    trouble: str = ""
    temperature: float | None = None
    shortened: bool = False
    unanswered: bool = False

    @property
    def passes(self) -> bool:
        """Whether the plan may be trained on."""
        return self.plan is not None and not self.findings

    @property
    def findings(self) -> tuple[str, ...]:
        """All that is wrong, for a person."""
        said = (problem.message for problem in self.problems)
        return (self.trouble, *said) if self.trouble else tuple(said)

    def has(self, kind: str) -> bool:
        """Whether the linter found a problem of a kind (see `PlanProblem`)."""
        return any(problem.kind == kind for problem in self.problems)


@dataclass(frozen=True, kw_only=True)
class SeedPlan:
    """A plan that may be trained on: ``(u, p)`` of equation 3.

    Attributes:
        by: Who wrote it: as `Attempt.by`, a ``person`` in the review, or a ``file`` of one's own.
        temperature: Of the model that wrote it.
    """

    task: Task
    plan: MetaPlan
    by: Literal["rule", "summary", "extraction", "person", "file"]
    temperature: float | None = None


@dataclass(frozen=True, kw_only=True)
class OpenCase:
    """A trajectory that waits for a person.

    Attributes:
        attempts: All that was tried, in order; never empty.
    """

    trajectory: ExpertTrajectory
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a person decided about a task.

    Attributes:
        plan: To train on; None to leave the task out.
    """

    plan: MetaPlan | None


@dataclass(frozen=True, kw_only=True)
class SeedPlans:
    """The seed plan set and what was kept out of it; no trajectory is in two of its fields.

    Attributes:
        accepted: Sorted by task key.
        for_review: They wait for a person: nothing is silently kept.
        unsolved: Keys of tasks that the expert did not solve: no plan is made from those.
        untold: Keys of solved tasks whose trajectory does nothing that a plan could tell.
        left_out: Keys of tasks that a person decided to leave out.
    """

    accepted: tuple[SeedPlan, ...] = ()
    for_review: tuple[OpenCase, ...] = ()
    unsolved: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def examine(attempt: Attempt, action_templates: Sequence[str]) -> Attempt:
    """The attempt with the plan that its text holds and what is wrong with it.

    Args:
        attempt: With its text.
        action_templates: The benchmark's actions, for the linter.
    """
    try:
        plan = MetaPlan.parse(attempt.text)
    except PlanParseError:
        plan = None
    problems = lint_plan(plan or attempt.text, action_templates)
    return attempt.model_copy(update={"plan": plan, "problems": problems})


def by_rule(
    rule: Callable[[ExpertTrajectory], MetaPlan],
    trajectory: ExpertTrajectory,
    actions: Sequence[str],
) -> tuple[Attempt, ...]:
    """The attempt of a benchmark's rule (`Benchmark.summarise`); none where it has nothing to tell.

    Args:
        rule: From a trajectory to a plan.
        trajectory: A solved one.
        actions: The benchmark's, for the linter.
    """
    try:
        plan = rule(trajectory)
    except DataError:
        return ()
    return (examine(Attempt(by="rule", text=plan.text), actions),)


def sort_out(
    trajectories: Iterable[ExpertTrajectory],
    attempts: Mapping[str, Sequence[Attempt]],
    decisions: Mapping[str, Decision],
) -> SeedPlans:
    """Gives every trajectory its place. A person's decision stands above everything.

    Args:
        trajectories: Of experts; at most one of a task.
        attempts: By task key, of the solved tasks without a decision; an empty sequence says that
            there was nothing to tell.
        decisions: By task key.
    """
    accepted: list[SeedPlan] = []
    for_review: list[OpenCase] = []
    keys: dict[str, list[str]] = {"unsolved": [], "untold": [], "left_out": []}
    for trajectory in sorted(trajectories, key=lambda trajectory: trajectory.task.key):
        task = trajectory.task
        if decision := decisions.get(task.key):
            if decision.plan is None:
                keys["left_out"].append(task.key)
            else:
                accepted.append(SeedPlan(task=task, plan=decision.plan, by="person"))
        elif not trajectory.success:
            keys["unsolved"].append(task.key)
        elif not (tried := tuple(attempts[task.key])):
            keys["untold"].append(task.key)
        elif (last := tried[-1]).plan is not None and last.passes:
            accepted.append(
                SeedPlan(task=task, plan=last.plan, by=last.by, temperature=last.temperature)
            )
        else:
            for_review.append(OpenCase(trajectory=trajectory, attempts=tried))
    return SeedPlans(
        accepted=tuple(accepted),
        for_review=tuple(for_review),
        **{name: tuple(found) for name, found in keys.items()},
    )
