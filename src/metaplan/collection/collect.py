"""The first stage of a run: seed plans from experts (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from metaplan.collection.experts import expert_trajectories
from metaplan.collection.imports import read_seed_plans
from metaplan.collection.memory import RememberedModel
from metaplan.collection.review import read_decisions, write_review
from metaplan.collection.seeds import Attempt, SeedPlan, SeedPlans, by_rule, sort_out
from metaplan.collection.summariser import Summariser
from metaplan.core import ExpertTrajectory, MetaPlan, Task, UserError, seed_from
from metaplan.episodes import for_each
from metaplan.models import ServedModel
from metaplan.planners import plan_line, write_jsonl
from metaplan.recipes.collecting import SummariserConfig
from metaplan.runs import Run

__all__ = ["collect"]

# Attempts by task key, and what they took of a language model.
_Summaries: TypeAlias = tuple[dict[str, tuple[Attempt, ...]], dict[str, int]]


def collect(run: Run) -> Path:
    """Collects seed plans and writes the SFT dataset.

    Seed plans come from a file, or from trajectories (in a file, or of the benchmark's expert on
    each training task), summarised by the benchmark's rule or by a language model. Trajectories
    and the model's answers are kept in the run: an interrupted collection goes on.

    Returns:
        ``datasets/sft.jsonl``. Beside it: ``trajectories.jsonl``; ``seed_plans.jsonl``, the plans
        with who wrote them, for other runs to import; and ``review.jsonl`` with the plans that
        wait for a person, whose decisions the next collection takes in.

    Raises:
        UserError: Nobody can summarise, or no seed plan passed.
        DataError: An imported file or ``review.jsonl`` is wrong.
        RunError: The model answers nobody any more; what it answered before is kept.
    """
    own = run.config.collect.seed_plans
    with run.stage("collect") as result:
        if own is None:
            seeds: Sequence[SeedPlan] = _from_trajectories(run, result)
        else:
            seeds = read_seed_plans(Path(own), run.train_tasks(), run.config.benchmark)
            result["seed_plans"] = len(seeds)
    write_jsonl(run.datasets / "seed_plans.jsonl", map(_seed_line, seeds))
    lines = (plan_line(run.planner_prompt, *_example(run, seed)) for seed in seeds)
    return write_jsonl(run.datasets / "sft.jsonl", lines)


def _example(run: Run, seed: SeedPlan) -> tuple[Task, MetaPlan]:
    """What the planner learns from a seed plan: it, or the same with another goal."""
    chance = Random(seed_from(run.config.seed, "other goal", seed.task.key))  # noqa: S311
    tell = run.benchmark.with_other_goal
    if tell is None or chance.random() >= run.config.collect.other_goals:
        return seed.task, seed.plan
    return tell(seed.task, seed.plan, chance) or (seed.task, seed.plan)


def _seed_line(seed: SeedPlan) -> dict[str, Any]:
    """A line that another run can import (``collect.seed_plans``)."""
    return {
        "task_key": seed.task.key,
        "instruction": seed.task.instruction,
        "plan": seed.plan.text,
        "by": seed.by,
        "temperature": seed.temperature,
    }


def _from_trajectories(run: Run, result: dict[str, Any]) -> tuple[SeedPlan, ...]:
    summarise = _summariser(run)
    review = run.datasets / "review.jsonl"
    trajectories = expert_trajectories(run, run.chosen_train_tasks())
    write_jsonl(
        run.datasets / "trajectories.jsonl",
        (trajectory.model_dump(mode="json") for trajectory in trajectories),
    )
    decisions = read_decisions(review, {trajectory.task.key for trajectory in trajectories})
    solved = [t for t in trajectories if t.success and t.task.key not in decisions]
    attempts, spent = summarise(solved)
    seeds = sort_out(trajectories, attempts, decisions)
    result.update(_counts(seeds), **spent)
    drafts = write_review(review, seeds.for_review)
    if seeds.for_review:
        run.progress.say(
            f"{len(seeds.for_review)} plans wait for a person in {review}: set 'accept' to true, "
            f"with 'plan' as it should be, or to false, and run the same command again"
        )
    if drafts:
        run.progress.say(f"{drafts} plans in {review} were edited, but their 'accept' is not set")
    if not seeds.accepted:
        raise UserError(
            f"no seed plan to train on: {len(seeds.unsolved)} tasks were not solved by the "
            f"expert, {len(seeds.untold)} trajectories say nothing that a plan could tell, "
            f"{len(seeds.left_out)} were left out, {len(seeds.for_review)} plans wait in {review}"
        )
    return seeds.accepted


def _counts(seeds: SeedPlans) -> dict[str, int]:
    """Every trajectory is in one of these; ``by_person`` and ``unanswered`` are parts of others."""
    rare = {
        "by_person": sum(seed.by == "person" for seed in seeds.accepted),
        "left_out": len(seeds.left_out),
        "unanswered": sum(case.attempts[-1].unanswered for case in seeds.for_review),
    }
    return {
        "seed_plans": len(seeds.accepted),
        "for_review": len(seeds.for_review),
        "unsolved": len(seeds.unsolved),
        "untold": len(seeds.untold),
        **{name: count for name, count in rare.items() if count},
    }


def _summariser(run: Run) -> Callable[[Sequence[ExpertTrajectory]], _Summaries]:
    """The rule or the language model that the configuration names.

    Raises:
        UserError: There is neither.
    """
    settings, rule = run.config.collect.summariser, run.benchmark.summarise
    actions = run.benchmark.action_templates
    if settings is not None:
        return lambda trajectories: run.wait(_ask_model(run, settings, trajectories))
    if rule is not None:
        return lambda trajectories: (
            {t.task.key: by_rule(rule, t, actions) for t in trajectories},
            {},
        )
    raise UserError(
        f"the benchmark {run.benchmark.name} has no rule that summarises trajectories: name a "
        f"language model (collect.summariser), or give seed plans of your own (collect.seed_plans)"
    )


async def _ask_model(
    run: Run, settings: SummariserConfig, trajectories: Sequence[ExpertTrajectory]
) -> _Summaries:
    model = ServedModel(settings.served)
    # Once a planner has learned from the set, only a person changes it.
    learned = "sft" in run.store.stages()
    memory = RememberedModel(model, run.store, run.config.runtime.retry, asks_again=not learned)
    summariser = Summariser(
        model=memory,
        benchmark=run.benchmark,
        dialect=run.config.planner.dialect,
        temperatures=(settings.temperature, *settings.again_at),
        max_tokens=settings.max_tokens,
        seed=run.config.seed,
    )
    attempts: dict[str, tuple[Attempt, ...]] = {}
    passed = 0
    try:
        with run.progress.track("summaries", len(trajectories)) as tracker:

            async def summarise(trajectory: ExpertTrajectory) -> None:
                nonlocal passed
                tried = await summariser.summarise(trajectory)
                attempts[trajectory.task.key] = tried
                passed += bool(tried) and tried[-1].passes
                tracker.advance(accepted=passed, for_review=len(attempts) - passed)

            await for_each(trajectories, summarise, limit=run.config.runtime.concurrency)
    finally:
        await model.close()
    if shortened := sum(any(a.shortened for a in tried) for tried in attempts.values()):
        run.progress.say(
            f"{shortened} trajectories did not fit the model: it saw their observations cut short"
        )
    return attempts, {"requests": memory.requests, **memory.usage.model_dump()}
