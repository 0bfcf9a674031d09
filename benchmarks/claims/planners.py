"""One seed of the whole pipeline: its planners, those of C6 among them, and what they plan.

A run directory for each seed holds all of it, and its ordinary machinery resumes it. C6 goes on
from C1's exploration: the tasks get more sampled plans and these more episodes, of which every
smaller exploration is a part, and every point of the curve is DPO from the same SFT planner.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from claims.designs import curve_letters, curve_methods
from claims.study import Study
from metaplan.core import EpisodeSpec, MetaPlan, Task
from metaplan.episodes import Progress
from metaplan.exploration import (
    Uniform,
    exploration_specs,
    plan_scores,
    preference_pairs,
    rewards_of,
)
from metaplan.pipeline import optimize
from metaplan.planners import PlanSample, pair_line, write_jsonl
from metaplan.runs import Run, sample_plans

__all__ = ["Plans", "plans_of_seed"]

Plans = Mapping[str, MetaPlan | None]
"""Task key to the plan; None where the planner wrote none that can be read."""

_T = TypeVar("_T")


def plans_of_seed(
    study: Study, seed: int, methods: Iterable[str], tasks: Mapping[str, Task], progress: Progress
) -> dict[str, Plans]:
    """Trains what is missing of a seed's planners and lets them plan, greedily.

    Args:
        study: Says how.
        seed: Of the whole pipeline.
        methods: ``sft``, ``rft``, ``mpo`` and points of C6.
        tasks: What is planned for, by key.
        progress: Where to tell about it.

    Returns:
        The plans by method and task.
    """
    config, directory = study.pipeline(seed)
    wanted = list(methods)
    progress.say(f"seed {seed}: {', '.join(wanted)}")
    with Run(config, directory, progress) as run:
        planners = _result(optimize(run))
        if not planners.keys() >= set(wanted):
            planners |= _curve(run, study, planners["sft"], wanted)
        return {
            method: {
                key: samples[0].plan
                for key, samples in sample_plans(
                    run, planners[method], tasks, count=1, temperature=0.0, label=f"{method} plans"
                ).items()
            }
            for method in wanted
        }


def _result(stages: Generator[str, None, _T]) -> _T:
    """Goes through all stages; what they come to."""
    while True:
        try:
            next(stages)
        except StopIteration as end:
            result: _T = end.value
            return result


def _curve(run: Run, study: Study, sft: Path, wanted: Sequence[str]) -> dict[str, Path]:
    """The planners of those points of C6 that are wanted."""
    explore, most = run.config.explore, max(study.plan.curves.counts)
    tasks = run.explored_tasks()
    samples = sample_plans(
        run, sft, tasks, count=most, temperature=explore.temperature, label="sampling more plans"
    )
    agent = run.exploring_agent()
    environments = agent.environment_fingerprints(run.benchmark, tasks.values())

    def planned(m: int, n: int) -> list[EpisodeSpec]:
        plans = _distinct(samples, m)
        allocation = Uniform({key: tuple(group) for key, group in plans.items()}, n)
        return exploration_specs(
            allocation.next_round({}).episodes,
            plans,
            tasks,
            placement=run.config.agent.placement,
            environments=environments,
            agent=agent.fingerprint,
        )

    m, n = explore.plans_per_task, explore.episodes_per_plan
    specs = [*planned(most, n), *(planned(m, most) if "N" in curve_letters(study) else ())]
    run.play(specs, agent, purpose="explore", label="exploring more")
    planners = {}
    for (letter, count), method in curve_methods(study).items():
        if method in wanted and method not in {"sft", "mpo"}:
            counts = (count, n) if letter == "M" else (m, count)
            dataset = _pairs(run, samples, planned(*counts), counts)
            planners[method] = run.fine_tune(
                f"mpo-{counts[0]}x{counts[1]}", dataset, run.config.dpo, start=sft
            )
    return planners


def _distinct(
    samples: Mapping[str, Sequence[PlanSample]], count: int
) -> dict[str, dict[str, MetaPlan]]:
    """The first plans of each task; equal ones are one."""
    return {
        key: {s.plan.key: s.plan for s in group[:count] if s.plan} for key, group in samples.items()
    }


def _pairs(
    run: Run,
    samples: Mapping[str, Sequence[PlanSample]],
    specs: Sequence[EpisodeSpec],
    counts: tuple[int, int],
) -> Path | None:
    """The preference pairs of M plans and N episodes; None where there is nothing to prefer."""
    earned = rewards_of(specs, run.store.rewards(spec.key for spec in specs))
    scores = plan_scores(_distinct(samples, counts[0]), earned)
    pairs = preference_pairs(scores, run.config.explore.ties)
    lines: list[dict[str, Any]] = [
        pair_line(run.planner_prompt, run.train_tasks(), pair) for pair in pairs
    ]
    if not lines:
        run.progress.say(f"M, N = {counts}: no task has plans of different quality")
        return None
    return write_jsonl(run.datasets / f"dpo-{counts[0]}x{counts[1]}.jsonl", lines)
