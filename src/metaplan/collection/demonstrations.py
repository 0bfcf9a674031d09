"""What an agent learns from: experts' trajectories, with plans beside them and without.

Agents are tuned as in AgentTuning (Zeng et al., 2023) and ETO (Song et al., 2024), on solved
trajectories. So that an agent can read plans, some are shown beside them: the summary of the very
trajectory (``own``), which fits, or that of another task with the same wording (``other``), which
may be wrong here. In the second case the expert was shown the plan as well: what follows is how
someone acts who trusts a plan as far as it goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

from metaplan.agents import Demonstration, expert_turns
from metaplan.collection.experts import expert_trajectories, trajectory_of
from metaplan.core import (
    ConfigError,
    DataError,
    ExpertTrajectory,
    MetaPlan,
    Task,
    UserError,
    digest,
    seed_from,
)
from metaplan.episodes import for_each
from metaplan.planners import write_jsonl
from metaplan.runs import Run, conversation_beside

__all__ = ["agent_dataset", "demonstrate"]

Origin: TypeAlias = Literal["none", "own", "other"]
_ORIGINS: tuple[Origin, ...] = ("none", "own", "other")


def demonstrate(run: Run) -> list[Demonstration]:
    """Has the training tasks demonstrated, each by as many people as the recipe says.

    Which plan goes with a demonstration is drawn from the task's key and the person's number: more
    people leave the others as they are; more tasks do, but for whose plan is shown to somebody
    else. Demonstrations are kept in the run; an interrupted stage goes on.

    Returns:
        Solved ones, sorted by task key and person.

    Raises:
        ConfigError: The benchmark has no such people, or no rule that summarises trajectories, and
            the recipe needs them.
        UserError: No task was solved.
    """
    with run.stage("demonstrate") as result:
        _check(run)
        tasks = run.train_tasks()
        found = _by_people(run, tasks) if _has_people(run) else _by_expert(run, tasks)
        solved = [shown for shown in found if shown.trajectory.success and shown.trajectory.steps]
        result.update(_counts(solved), unsolved=len(found) - len(solved))
        if not solved:
            raise UserError(f"nothing to learn from: of {len(found)} tasks the expert solved none")
    return solved


def agent_dataset(run: Run, demonstrations: Sequence[Demonstration]) -> Path:
    """Writes the agent's SFT dataset: whole conversations, as the agent will have them.

    Returns:
        ``datasets/agent_sft.jsonl``. Beside TRL's ``messages``, each line has ``task_key``,
        ``person``, ``plan_key`` and ``plan_origin`` of the plan that is shown, and ``seed_plan``,
        the summary of this trajectory.
    """
    return write_jsonl(
        run.datasets / "agent_sft.jsonl", (_line(run, shown) for shown in demonstrations)
    )


def _line(run: Run, shown: Demonstration) -> dict[str, Any]:
    trajectory = shown.trajectory
    return {
        "messages": conversation_beside(run, shown, expert_turns(trajectory)),
        "task_key": trajectory.task.key,
        "person": shown.person,
        "plan_key": shown.plan.key if shown.plan else None,
        "plan_origin": shown.origin,
        "seed_plan": shown.seed_plan.text if shown.seed_plan else None,
    }


def _counts(solved: Sequence[Demonstration]) -> dict[str, int]:
    steps = [step for shown in solved for step in shown.trajectory.steps]
    origins = [shown.origin for shown in solved]
    return {
        "demonstrations": len(solved),
        "without_plan": origins.count("none"),
        "with_own_plan": origins.count("own"),
        "with_other_plan": origins.count("other"),
        "steps": len(steps),
        "template_thoughts": sum(not step.thought.strip() for step in steps),
    }


def _has_people(run: Run) -> bool:
    return run.benchmark.demonstrate is not None and run.config.collect.trajectories is None


def _check(run: Run) -> None:
    """Refuses, before any work, what can't be done.

    Raises:
        ConfigError: Names the field, and what would be right.
    """
    tuning, benchmark = run.tuning, run.benchmark
    if tuning.people > 1 and not _has_people(run):
        why = "trajectories are read from a file" if benchmark.demonstrate else "it has one expert"
        raise ConfigError(f"tuning.people is {tuning.people}, but of {benchmark.name} {why}: set 1")
    if tuning.plans.own + tuning.plans.other > 0 and benchmark.summarise is None:
        raise ConfigError(
            f"tuning.plans: the benchmark {benchmark.name} has no rule that summarises "
            f"trajectories, so there are no plans to show: set 'own' and 'other' to 0"
        )


def _seed_plan(run: Run, trajectory: ExpertTrajectory) -> MetaPlan | None:
    """The rule's summary of a solved trajectory; None where there is nothing to tell."""
    if run.benchmark.summarise is None or not trajectory.success:
        return None
    try:
        return run.benchmark.summarise(trajectory)
    except DataError:
        return None


def _draw(run: Run, task: Task, person: int) -> Origin:
    """Which plan goes with a person's demonstration of a task, by the recipe's shares."""
    shares = run.tuning.plans
    dice = Random(seed_from(run.config.seed, "plan shown", task.key, person))  # noqa: S311
    return dice.choices(_ORIGINS, (shares.none, shares.own, shares.other))[0]


def _demonstration(
    run: Run, trajectory: ExpertTrajectory, person: int, origin: Origin
) -> Demonstration:
    """Beside the plan that the expert was shown; else beside its own, unless `origin` is none."""
    seed_plan = _seed_plan(run, trajectory)
    own = None if origin == "none" else seed_plan
    return Demonstration(
        trajectory=trajectory,
        person=person,
        plan=trajectory.plan or own,
        origin="other" if trajectory.plan else "own" if own else "none",
        seed_plan=seed_plan,
    )


# -- one expert, who reads no plans


def _by_expert(run: Run, tasks: Mapping[str, Task]) -> list[Demonstration]:
    if run.tuning.plans.other > 0:
        run.progress.say(
            "the expert can't be shown plans: those of other tasks (tuning.plans.other) are left "
            "out, and its own (tuning.plans.own) take their place"
        )
    trajectories = sorted(expert_trajectories(run, tasks), key=lambda found: found.task.key)
    return [_demonstration(run, found, 0, _draw(run, found.task, 0)) for found in trajectories]


# -- many people, who read plans


@dataclass(frozen=True)
class _Part:
    """One person's demonstration of one task, shown a plan or none."""

    task: Task
    person: int
    plan: MetaPlan | None = None

    @property
    def key(self) -> tuple[str, int, str | None]:
        """As in `RunStore.demonstrations`."""
        return self.task.key, self.person, self.plan.key if self.plan else None


_Known: TypeAlias = dict[tuple[str, int, str | None], ExpertTrajectory]


def _by_people(run: Run, tasks: Mapping[str, Task]) -> list[Demonstration]:
    """First those who are shown nothing; their summaries are what the others are shown.

    Someone who is to be shown another task's plan gets the one that follows from what the same
    person did there; where nobody shares the wording, or nothing came of it, they go on alone.
    """
    alike: dict[str, list[Task]] = {}
    for task in tasks.values():
        alike.setdefault(_wording(task), []).append(task)
    wanted = {
        _Part(task, person).key: _draw(run, task, person)
        for task in tasks.values()
        for person in range(run.tuning.people)
    }
    lenders = {
        (key, person): lender
        for (key, person, _), origin in wanted.items()
        if origin == "other"
        and (lender := _lender(run, tasks[key], person, alike[_wording(tasks[key])]))
    }
    known = run.store.demonstrations()
    alone = [_Part(tasks[key], person) for key, person, _ in wanted if (key, person) not in lenders]
    lending = [_Part(lender, person) for (_, person), lender in lenders.items()]
    _play(run, [*alone, *lending], known, "demonstrations")
    shown = [
        _Part(tasks[key], person, _seed_plan(run, known[_Part(lender, person).key]))
        for (key, person), lender in lenders.items()
    ]
    _play(run, shown, known, "demonstrations with a plan")
    parts = sorted((*alone, *shown), key=lambda part: part.key[:2])
    return [
        _demonstration(run, known[part.key], part.person, wanted[part.key[0], part.person, None])
        for part in parts
    ]


def _wording(task: Task) -> str:
    """The sentence that says what is to be done: of equal ones, places and things differ."""
    return task.instruction.strip().rpartition("\n")[2].lower()


def _lender(run: Run, task: Task, person: int, alike: Sequence[Task]) -> Task | None:
    """Another task of the same wording; which one, is drawn from the keys."""
    others = [other for other in alike if other.key != task.key]
    order = (run.config.seed, "lender", task.key, person)
    return min(others, key=lambda other: digest(*order, other.key), default=None)


def _play(run: Run, parts: Sequence[_Part], known: _Known, label: str) -> None:
    """Has those played that are not known, which they are from then on."""
    distinct = {part.key: part for part in parts}
    missing = [part for key, part in distinct.items() if key not in known]

    async def play_all() -> None:
        pool = await run.pool()
        done = len(distinct) - len(missing)
        with run.progress.track(label, len(distinct), done) as tracker:

            async def play(part: _Part) -> None:
                found = await trajectory_of(
                    run, part.task, lambda: pool.demonstrate(part.task, part.person, part.plan)
                )
                found = found.model_copy(update={"plan": part.plan})
                run.store.add_demonstration(part.person, found)
                known[part.key] = found
                tracker.advance()

            await for_each(missing, play, limit=run.config.runtime.concurrency)

    if missing:
        run.wait(play_all())
