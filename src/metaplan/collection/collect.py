"""The first stage of a run: seed plans from experts (paper, section 3.1)."""

from __future__ import annotations

from pathlib import Path

from metaplan.collection.imports import read_seed_plans, read_trajectories
from metaplan.collection.seeds import SeedPlans, collect_seed_plans
from metaplan.core import EnvironmentFault, ExpertTrajectory, Task, UserError
from metaplan.episodes import for_each, retried
from metaplan.planners import plan_line, write_jsonl
from metaplan.runs import Run

__all__ = ["collect"]


def collect(run: Run) -> Path:
    """Collects seed plans and writes the SFT dataset.

    Seed plans come from a file, from trajectories in a file, or from the benchmark's expert on
    each training task (kept in the run: an interrupted collection goes on).

    Returns:
        ``datasets/sft.jsonl``. Beside it: ``trajectories.jsonl``, and ``review.jsonl`` with the
        plans that the linter stopped, for a person to mend and import.

    Raises:
        UserError: There is no expert, or no seed plan passed.
        DataError: An imported file is wrong.
    """
    config = run.config.collect
    with run.stage("collect") as result:
        tasks = run.train_tasks()
        if config.seed_plans is not None:
            imported = read_seed_plans(Path(config.seed_plans), tasks, run.config.benchmark)
            seeds = SeedPlans(accepted=tuple(imported))
        else:
            trajectories = _trajectories(run, tasks)
            write_jsonl(
                run.datasets / "trajectories.jsonl",
                (trajectory.model_dump(mode="json") for trajectory in trajectories),
            )
            if run.benchmark.summarise is None:
                raise UserError(
                    f"the benchmark {run.benchmark.name} has no rule that summarises trajectories: "
                    f"give seed plans of your own (collect.seed_plans)"
                )
            seeds = collect_seed_plans(
                trajectories, run.benchmark.summarise, run.benchmark.action_templates
            )
        if not seeds.accepted:
            _write_review(run, seeds)
            raise UserError(
                f"no seed plan to train on: {len(seeds.unsolved)} tasks were not solved by the "
                f"expert, {len(seeds.untold)} trajectories say nothing that a plan could tell, "
                f"{len(seeds.for_review)} plans wait in {run.datasets / 'review.jsonl'}"
            )
        result.update(
            seed_plans=len(seeds.accepted),
            for_review=len(seeds.for_review),
            unsolved=len(seeds.unsolved),
            untold=len(seeds.untold),
        )
    _write_review(run, seeds)
    return write_jsonl(
        run.datasets / "sft.jsonl",
        (plan_line(run.planner_prompt, seed.task, seed.plan) for seed in seeds.accepted),
    )


def _write_review(run: Run, seeds: SeedPlans) -> None:
    write_jsonl(
        run.datasets / "review.jsonl",
        (
            {
                "task_key": seed.task.key,
                "instruction": seed.task.instruction,
                "plan": seed.plan.text,
                "problems": [problem.message for problem in seed.problems],
            }
            for seed in seeds.for_review
        ),
    )


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
