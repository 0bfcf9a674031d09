"""What an agent learns from: experts' trajectories, with plans beside them and without.

Agents are tuned as in AgentTuning (Zeng et al., 2023) and ETO (Song et al., 2024), on solved
trajectories. So that an agent can read plans, some are shown beside them: the summary of the very
trajectory (``own``), which fits, or that of another task with the same wording (``other``), which
may be wrong here. In the second case the expert was shown the plan as well: what follows is how
someone acts who trusts a plan as far as it goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from metaplan.recipes.tuning import PlanShares
from metaplan.runs import Run, conversation_beside

__all__ = ["agent_dataset", "demonstrate"]

Origin: TypeAlias = Literal["none", "own", "other"]
_ORIGINS: tuple[Origin, ...] = ("none", "own", "other")


def demonstrate(run: Run) -> list[Demonstration]:
    """Has the training tasks demonstrated, each by as many people as the recipe says.

    Which plan goes with a demonstration is drawn from the task's key and the person's number: more
    tasks or people leave the others as they are. Demonstrations are kept in the run; an interrupted
    stage goes on.

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


# -- one expert, who reads no plans


def _by_expert(run: Run, tasks: Mapping[str, Task]) -> list[Demonstration]:
    shares = run.tuning.plans
    if shares.other > 0:
        run.progress.say(
            "the expert can't be shown plans: those of other tasks (tuning.plans.other) are left "
            "out, and its own (tuning.plans.own) take their place"
        )
    trajectories = sorted(expert_trajectories(run, tasks), key=lambda found: found.task.key)
    return [
        _beside_own_plan(run, found, 0, _draw(run, found.task, 0, others=False))
        for found in trajectories
    ]


def _beside_own_plan(
    run: Run, trajectory: ExpertTrajectory, person: int, origin: Origin
) -> Demonstration:
    """With its own summary, or without a plan."""
    seed_plan = _seed_plan(run, trajectory)
    plan = None if origin == "none" else seed_plan
    return Demonstration(
        trajectory=trajectory,
        person=person,
        plan=plan,
        origin="own" if plan else "none",
        seed_plan=seed_plan,
    )


def _seed_plan(run: Run, trajectory: ExpertTrajectory) -> MetaPlan | None:
    """The rule's summary of a solved trajectory; None where there is nothing to tell."""
    if run.benchmark.summarise is None or not trajectory.success:
        return None
    try:
        return run.benchmark.summarise(trajectory)
    except DataError:
        return None


def _draw(run: Run, task: Task, person: int, *, others: bool) -> Origin:
    """Which plan goes with a demonstration.

    Args:
        run: Its seed and shares count.
        task: Which is demonstrated.
        person: By whom.
        others: Whether there are other tasks' plans; if not, its own has their share.
    """
    shares: PlanShares = run.tuning.plans
    other = shares.other if others else 0.0
    own = shares.own + shares.other - other
    dice = Random(seed_from(run.config.seed, "plan shown", task.key, person))  # noqa: S311
    return dice.choices(_ORIGINS, (shares.none, own, other))[0]


# -- many people, who read plans


@dataclass(frozen=True)
class _Part:
    """One person's demonstration of one task, to be played.

    Attributes:
        plan: What the person is shown.
    """

    task: Task
    person: int
    origin: Origin
    plan: MetaPlan | None = None


@dataclass(frozen=True)
class _Donor:
    """A seed plan that may be shown with another task."""

    task_key: str
    person: int
    plan: MetaPlan


def _by_people(run: Run, tasks: Mapping[str, Task]) -> list[Demonstration]:
    """First those who are shown nothing; their summaries are what the others are shown."""
    wordings: dict[str, int] = {}
    for task in tasks.values():
        wordings[_wording(task)] = wordings.get(_wording(task), 0) + 1
    parts = [
        _Part(task, person, _draw(run, task, person, others=wordings[_wording(task)] > 1))
        for task in tasks.values()
        for person in range(run.tuning.people)
    ]
    known = run.store.demonstrations()
    alone = _play(run, [part for part in parts if part.origin != "other"], known, "demonstrations")
    donors: dict[str, list[_Donor]] = {}
    for shown in alone:
        if shown.seed_plan is not None:
            donor = _Donor(shown.trajectory.task.key, shown.person, shown.seed_plan)
            donors.setdefault(_wording(shown.trajectory.task), []).append(donor)
    others = _with_donors(run, [part for part in parts if part.origin == "other"], donors)
    guided = _play(run, list(others), known, "demonstrations with a plan")
    return sorted(alone + guided, key=lambda shown: (shown.trajectory.task.key, shown.person))


def _wording(task: Task) -> str:
    """The sentence that says what is to be done: of equal ones, places and things differ."""
    return task.instruction.strip().rpartition("\n")[2].lower()


def _with_donors(
    run: Run, parts: Iterable[_Part], donors: Mapping[str, Sequence[_Donor]]
) -> Iterator[_Part]:
    """Gives each a plan of another task; where no other was solved, it goes on without."""
    for part in parts:
        key = part.task.key
        others = [donor for donor in donors.get(_wording(part.task), ()) if donor.task_key != key]
        if not others:
            yield _Part(part.task, part.person, "own")
            continue
        order = (run.config.seed, key, part.person)
        donor = min(others, key=lambda donor: digest(*order, donor.task_key, donor.person))
        yield _Part(part.task, part.person, "other", donor.plan)


_Known: TypeAlias = dict[tuple[str, int, str | None], ExpertTrajectory]
"""What was demonstrated; see `RunStore.demonstrations`."""


def _play(run: Run, parts: Sequence[_Part], known: _Known, label: str) -> list[Demonstration]:
    """Has those played that are not known, which they are from then on."""
    missing = [part for part in parts if _key(part) not in known]

    async def play_all() -> None:
        pool = await run.pool()
        with run.progress.track(label, len(parts), len(parts) - len(missing)) as tracker:

            async def play(part: _Part) -> None:
                found = await trajectory_of(
                    run, part.task, lambda: pool.demonstrate(part.task, part.person, part.plan)
                )
                found = found.model_copy(update={"plan": part.plan})
                run.store.add_demonstration(part.person, found)
                known[_key(part)] = found
                tracker.advance()

            await for_each(missing, play, limit=run.config.runtime.concurrency)

    if missing:
        run.wait(play_all())
    return [_demonstration(run, part, known[_key(part)]) for part in parts]


def _key(part: _Part) -> tuple[str, int, str | None]:
    return part.task.key, part.person, part.plan.key if part.plan else None


def _demonstration(run: Run, part: _Part, trajectory: ExpertTrajectory) -> Demonstration:
    if part.plan is None:
        return _beside_own_plan(run, trajectory, part.person, part.origin)
    return Demonstration(
        trajectory=trajectory,
        person=part.person,
        plan=part.plan,
        origin="other",
        seed_plan=_seed_plan(run, trajectory),
    )
