"""What an agent learns from: experts' trajectories, with plans beside them and without.

Agents are tuned as in AgentTuning (Zeng et al., 2023) and ETO (Song et al., 2024), on solved
trajectories. So that an agent can read plans, some stand beside them: the seed plan of the very
task (``own``), which fits, or that of another task that looks for the same (``other``), which may
be wrong here. They come from the expert, who knows where to look, and from a writer, who knows it
roughly and tries more places; of others' plans the longer ones are shown, which are rare and teach
most. Whoever demonstrates was shown the plan, and trusts it as far as it goes; where a benchmark
has one expert, who reads no plans, the own one is told in hindsight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

from metaplan.agents import Demonstration
from metaplan.collection.experts import expert_trajectories, is_varied, trajectory_of
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
from metaplan.runs import Run, demonstrated_conversation

__all__ = ["agent_dataset", "demonstrate"]

Origin: TypeAlias = Literal["none", "own", "other"]
_ORIGINS: tuple[Origin, ...] = ("none", "own", "other")
_WRITER = -1  # The person whose seed plans are shown too, but no demonstration.
_LENDERS = 4  # Of so many other tasks' plans the longest is shown.


def demonstrate(run: Run) -> list[Demonstration]:
    """Has the training tasks demonstrated, each by as many people as the recipe says.

    Which plan goes with a demonstration is drawn from the task's key and the person's number: more
    people leave the others as they are; more tasks do, but for whose plan is shown beside another.
    Demonstrations are kept in the run; an interrupted stage goes on.

    Returns:
        Solved ones, sorted by task key and person.

    Raises:
        ConfigError: The benchmark has no such people, or no rule that summarises trajectories, and
            the recipe needs them.
        UserError: No task was solved.
    """
    with run.stage("demonstrate") as result:
        _check(run)
        found = _by_people(run) if _has_people(run) else _by_expert(run)
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
        "messages": demonstrated_conversation(run, shown),
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


# -- one expert, who reads no plans


def _by_expert(run: Run) -> list[Demonstration]:
    """Beside a trajectory, the summary of that very trajectory: what fits in hindsight."""
    if run.tuning.plans.other > 0:
        run.progress.say(
            "the expert can't be shown plans: those of other tasks (tuning.plans.other) are left "
            "out, and its own (tuning.plans.own) take their place"
        )
    demonstrations = []
    for found in sorted(
        expert_trajectories(run, run.chosen_train_tasks()), key=lambda found: found.task.key
    ):
        seed_plan = _seed_plan(run, found)
        shows = seed_plan is not None and _draw(run, found.task, 0) != "none"
        demonstrations.append(
            Demonstration(
                trajectory=found,
                person=0,
                plan=seed_plan if shows else None,
                origin="own" if shows else "none",
                seed_plan=seed_plan,
            )
        )
    return demonstrations


# -- many people, who read plans


@dataclass(frozen=True)
class _Part:
    """One person's demonstration of one task, shown a plan or none."""

    task: Task
    person: int
    origin: Origin
    plan: MetaPlan | None

    @property
    def key(self) -> tuple[str, int, str | None]:
        """As in `RunStore.demonstrations`."""
        return self.task.key, self.person, self.plan.key if self.plan else None


_Known: TypeAlias = dict[tuple[str, int, str | None], ExpertTrajectory]


def _by_people(run: Run) -> list[Demonstration]:
    """Shown the seed plan of their task, of another one that looks for the same, or none.

    Where no other task looks for it, the own plan takes its place.
    """
    known = run.store.demonstrations()
    seeds = _seeds(run, known) if run.tuning.plans.own + run.tuning.plans.other else {}
    tasks = run.train_tasks()
    sought = {key: _looks_for(run, task) for key, task in tasks.items()}
    alike: dict[str, list[Task]] = {}
    for key, task in tasks.items():
        alike.setdefault(sought[key], []).append(task)
    parts = [
        _part(run, task, person, alike[sought[key]], seeds)
        for key, task in sorted(tasks.items())
        for person in range(run.tuning.people_for(task.task_type))
    ]
    _play(run, parts, known, "demonstrations")
    return [
        Demonstration(
            trajectory=known[part.key],
            person=part.person,
            plan=part.plan,
            origin=part.origin,
            seed_plan=_seed_plan(run, known[part.key]),
        )
        for part in parts
    ]


def _seeds(run: Run, known: _Known) -> dict[str, list[MetaPlan]]:
    """Of each task, the seed plans of the expert and of a person who demonstrates to nobody."""
    found = expert_trajectories(run, run.chosen_train_tasks()) if run.benchmark.expert else []
    parts = [_Part(task, _WRITER, "none", None) for _, task in sorted(run.train_tasks().items())]
    _play(run, parts, known, "other people's plans")
    seeds: dict[str, list[MetaPlan]] = {}
    for trajectory in (*found, *(known[part.key] for part in parts)):
        if plan := _seed_plan(run, trajectory):
            seeds.setdefault(trajectory.task.key, []).append(plan)
    return seeds


def _part(
    run: Run, task: Task, person: int, alike: Sequence[Task], seeds: Mapping[str, list[MetaPlan]]
) -> _Part:
    origin = _draw(run, task, person)
    lenders = _lenders(run, task, person, alike) if origin == "other" else []
    if origin == "other" and not lenders:
        origin = "own"
    dice = Random(seed_from(run.config.seed, "writer", task.key, person))  # noqa: S311
    plans = [] if origin == "none" else [seeds.get(t.key, []) for t in lenders or [task]]
    drawn = [dice.choice(choice) for choice in plans if choice]
    plan = max(drawn, key=lambda plan: len(plan.steps), default=None)
    return _Part(task, person, origin if plan else "none", plan)


def _looks_for(run: Run, task: Task) -> str:
    """What has to be found, or else the sentence: of equal ones, places and things differ."""
    if run.benchmark.looks_for is not None:
        return run.benchmark.looks_for(task)
    return task.instruction.strip().rpartition("\n")[2].lower()


def _lenders(run: Run, task: Task, person: int, alike: Sequence[Task]) -> list[Task]:
    """Other tasks that look for the same, at most `_LENDERS`; which, is drawn from the keys."""
    others = [other for other in alike if other.key != task.key]
    order = (run.config.seed, "lender", task.key, person)
    return sorted(others, key=lambda other: digest(*order, other.key))[:_LENDERS]


def _play(run: Run, parts: Sequence[_Part], known: _Known, label: str) -> None:
    """Has those played that are not known, which they are from then on."""
    distinct = {part.key: part for part in parts}
    missing = [part for key, part in distinct.items() if key not in known]

    async def play_all() -> None:
        pool = await run.pool()
        done = len(distinct) - len(missing)
        with run.progress.track(label, len(distinct), done) as tracker:

            async def play(part: _Part) -> None:
                asked = (part.task, part.person, part.plan, is_varied(run, part.task))
                found = await trajectory_of(run, part.task, lambda: pool.demonstrate(*asked))
                found = found.model_copy(update={"plan": part.plan})
                run.store.add_demonstration(part.person, found)
                known[part.key] = found
                tracker.advance()

            await for_each(missing, play, limit=run.config.runtime.concurrency)

    if missing:
        run.wait(play_all())
