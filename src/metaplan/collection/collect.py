"""The first stage of a run: seed plans from experts (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metaplan.collection.imports import read_seed_plans, read_trajectories
from metaplan.collection.memory import RememberedModel
from metaplan.collection.review import read_decisions, write_review
from metaplan.collection.seeds import Attempt, SeedPlans, by_rule, sort_out
from metaplan.collection.summariser import Summariser
from metaplan.core import EnvironmentFault, ExpertTrajectory, Task, UserError
from metaplan.episodes import for_each, retried
from metaplan.models import ServedModel
from metaplan.planners import plan_line, write_jsonl
from metaplan.recipes.config import SummariserConfig
from metaplan.runs import Run

__all__ = ["collect"]


def collect(run: Run) -> Path:
    """Collects seed plans and writes the SFT dataset.

    Seed plans come from a file, or from trajectories (in a file, or of the benchmark's expert on
    each training task), summarised by the benchmark's rule or by a language model. Trajectories
    and the model's answers are kept in the run: an interrupted collection goes on.

    Returns:
        ``datasets/sft.jsonl``. Beside it: ``trajectories.jsonl``, and ``review.jsonl`` with the
        plans that wait for a person, whose decisions the next collection takes in.

    Raises:
        UserError: Nobody can summarise, or no seed plan passed.
        DataError: An imported file or ``review.jsonl`` is wrong.
        RunError: The model answers nobody any more; what it answered before is kept.
    """
    own = run.config.collect.seed_plans
    with run.stage("collect") as result:
        tasks = run.train_tasks()
        if own is None:
            seeds = _from_trajectories(run, tasks, result)
        else:
            imported = read_seed_plans(Path(own), tasks, run.config.benchmark)
            seeds = SeedPlans(accepted=tuple(imported))
            result["seed_plans"] = len(imported)
    lines = (plan_line(run.planner_prompt, seed.task, seed.plan) for seed in seeds.accepted)
    return write_jsonl(run.datasets / "sft.jsonl", lines)


def _from_trajectories(run: Run, tasks: dict[str, Task], result: dict[str, Any]) -> SeedPlans:
    _check_summariser(run)
    review = run.datasets / "review.jsonl"
    trajectories = _trajectories(run, tasks)
    write_jsonl(
        run.datasets / "trajectories.jsonl",
        (trajectory.model_dump(mode="json") for trajectory in trajectories),
    )
    decisions = read_decisions(review, {trajectory.task.key for trajectory in trajectories})
    solved = [t for t in trajectories if t.success and t.task.key not in decisions]
    seeds = sort_out(trajectories, _attempts(run, solved, result), decisions)
    _count(seeds, result)
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
    return seeds


def _check_summariser(run: Run) -> None:
    if run.config.collect.summariser is None and run.benchmark.summarise is None:
        raise UserError(
            f"the benchmark {run.benchmark.name} has no rule that summarises trajectories: name a "
            f"language model (collect.summariser), or give seed plans of your own "
            f"(collect.seed_plans)"
        )


def _count(seeds: SeedPlans, result: dict[str, Any]) -> None:
    """Every trajectory is one of these, but for the parts: those of a person, those unanswered."""
    last = [case.attempts[-1] for case in seeds.for_review]
    result.update(
        seed_plans=len(seeds.accepted),
        by_person=len(seeds.by_person),
        for_review=len(seeds.for_review),
        unanswered=sum(attempt.unanswered for attempt in last),
        left_out=len(seeds.left_out),
        unsolved=len(seeds.unsolved),
        untold=len(seeds.untold),
    )


def _attempts(
    run: Run, trajectories: Sequence[ExpertTrajectory], result: dict[str, Any]
) -> Mapping[str, Sequence[Attempt]]:
    """What the configured summariser makes of solved trajectories, by task key."""
    settings, rule = run.config.collect.summariser, run.benchmark.summarise
    if settings is not None:
        return run.wait(_ask_model(run, settings, trajectories, result))
    if rule is None:
        raise AssertionError("checked before any work")
    actions = run.benchmark.action_templates
    return {t.task.key: by_rule(rule, t, actions) for t in trajectories}


async def _ask_model(
    run: Run,
    settings: SummariserConfig,
    trajectories: Sequence[ExpertTrajectory],
    result: dict[str, Any],
) -> dict[str, tuple[Attempt, ...]]:
    model = ServedModel(settings.served)
    memory = RememberedModel(model, run.store, run.config.runtime.retry)
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
    result.update(
        requests=memory.requests,
        prompt_tokens=memory.usage.prompt_tokens,
        completion_tokens=memory.usage.completion_tokens,
    )
    return attempts


def _trajectories(run: Run, tasks: dict[str, Task]) -> list[ExpertTrajectory]:
    path = run.config.collect.trajectories
    if path is not None:
        return read_trajectories(Path(path))
    if run.benchmark.expert is None:
        raise UserError(
            f"the benchmark {run.benchmark.name} has no expert: give trajectories or seed plans "
            f"of your own (collect.trajectories, collect.seed_plans)"
        )
    known = run.store.trajectories()
    missing = [task for key, task in tasks.items() if key not in known]
    if missing:
        run.wait(_ask_expert(run, missing, len(tasks)))
        known = run.store.trajectories()
    return [known[key] for key in tasks]


async def _ask_expert(run: Run, tasks: list[Task], total: int) -> None:
    pool = await run.pool()
    solved = 0
    with run.progress.track("expert trajectories", total, total - len(tasks)) as tracker:

        async def ask(task: Task) -> None:
            nonlocal solved
            try:
                found = await retried(lambda: pool.expert(task), run.config.runtime.retry)
                found = found.model_copy(update={"task": task})
            except EnvironmentFault as fault:  # one task less to learn from; the others go on
                run.progress.say(f"the expert came to nothing on {task.key}: {fault}")
                found = ExpertTrajectory(
                    task=task, steps=(), reward=0.0, success=False, source=f"failed: {fault}"
                )
            run.store.add_trajectory(found)
            solved += found.success
            tracker.advance(solved=solved)

        await for_each(tasks, ask, limit=run.config.runtime.concurrency)
