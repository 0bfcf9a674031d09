"""The exploring stages of a run: sample plans, play episodes, build datasets (3.2 and 3.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from metaplan.core import EpisodeSpec, MetaPlan, PlanScore, PreferencePair, Task
from metaplan.exploration.allocation import Adaptive, Round, Uniform
from metaplan.exploration.pairs import best_plans, preference_pairs, read_pairs
from metaplan.exploration.quality import (
    exploration_specs,
    incomplete_plans,
    plan_scores,
    rewards_of,
)
from metaplan.planners import PlanSample, pair_line, plan_line, write_jsonl
from metaplan.recipes.config import ExploreConfig
from metaplan.runs import Run, sample_plans

__all__ = ["dpo_dataset", "explore", "pairs_of", "rft_dataset", "sample"]


def sample(run: Run, planner: Path) -> dict[str, list[PlanSample]]:
    """Draws M plans for each explored task: ``{p_i | i = 1…M} ∼ π_g(p|u)``.

    Returns:
        Samples by task key; one whose completion holds no plan has `plan` None.
    """
    config = run.config.explore
    with run.stage("sample") as result:
        samples = sample_plans(
            run,
            planner,
            run.explored_tasks(),
            count=config.plans_per_task,
            temperature=config.temperature,
            label="sampling plans",
        )
        drawn = [sample for group in samples.values() for sample in group]
        plans = [sample.plan for sample in drawn if sample.plan]
        result.update(
            plans=len(plans),
            distinct=len({(s.task_key, s.plan.key) for s in drawn if s.plan}),
            unreadable=len(drawn) - len(plans),
        )
    return samples


def explore(run: Run, samples: Mapping[str, Sequence[PlanSample]]) -> list[PlanScore]:
    """Plays episodes with the sampled plans and scores these: `Q(p)` (equations 5 and 6).

    Equal samples of a task share their episodes, as they are the same plan. Which episodes a round
    has depends on the rewards of the rounds before alone: a resumed run comes to the same ones, and
    finds them played. With ``explore.merged``, a plan that is merged from a task's samples is
    played beside them.

    Returns:
        Scores of the complete plans; incomplete ones are reported and left out.
    """
    config = run.config.explore
    tasks = run.explored_tasks()
    agent = run.exploring_agent()
    environments = agent.environment_fingerprints(run.benchmark, tasks.values())
    plans = {key: {s.plan.key: s.plan for s in group if s.plan} for key, group in samples.items()}
    merge = run.benchmark.merge if config.merged else None
    merged = _merged_plans(merge, tasks, samples) if merge else {}
    for key, plan in merged.items():
        plans[key][plan.key] = plan
    allocation = _allocation(config, plans)
    specs: list[EpisodeSpec] = []
    rewards: dict[str, float] = {}
    with run.stage("explore") as result:
        while (planned := allocation.next_round(rewards_of(specs, rewards))).episodes:
            if specs:
                run.progress.say(_standing(planned, len(specs), allocation))
            new = exploration_specs(
                planned.episodes,
                plans,
                tasks,
                placement=run.config.agent.placement,
                environments=environments,
                agent=agent.fingerprint,
            )
            # With those before, so that progress and health count the whole exploration.
            played = [spec for spec in specs if spec.key in rewards]
            budget = allocation.budget if isinstance(allocation, Adaptive) else None
            at_most = None if budget is None else budget - len(played)
            run.play([*played, *new], agent, purpose="explore", label="exploring", at_most=at_most)
            rewards |= run.store.rewards(spec.key for spec in new)
            specs += new
        earned = rewards_of(specs, rewards)
        scores = [
            score.model_copy(update={"merged": score.plan == merged.get(score.task_key)})
            for score in plan_scores(plans, earned)
        ]
        result.update(
            plans=len(scores),
            episodes=len(rewards),
            mean_reward=_mean(rewards.values()),
            incomplete_plans=len(incomplete_plans(earned)),
        )
    write_jsonl(
        run.datasets / "plan_scores.jsonl", (score.model_dump(mode="json") for score in scores)
    )
    return scores


def _merged_plans(
    merge: Callable[[Task, Sequence[MetaPlan]], MetaPlan | None],
    tasks: Mapping[str, Task],
    samples: Mapping[str, Sequence[PlanSample]],
) -> dict[str, MetaPlan]:
    """By task key; none for a task whose samples hold no plan."""
    found = (
        (key, merge(tasks[key], [sample.plan for sample in group if sample.plan]))
        for key, group in samples.items()
    )
    return {key: plan for key, plan in found if plan}


def _allocation(
    config: ExploreConfig, plans: Mapping[str, Mapping[str, MetaPlan]]
) -> Uniform | Adaptive:
    keys = {task_key: tuple(distinct) for task_key, distinct in plans.items()}
    if config.allocation == "uniform":
        return Uniform(keys, config.episodes_per_plan)
    each = config.plans_per_task * config.episodes_per_plan
    return Adaptive(keys, math.ceil(config.budget * len(keys) * each))


def _standing(planned: Round, played: int, allocation: Uniform | Adaptive) -> str:
    left = f"; {allocation.budget - played} left" if isinstance(allocation, Adaptive) else ""
    return (
        f"exploring: {played} episodes played{left}; {planned.decided} tasks decided, "
        f"{planned.tied} tied, {planned.open} open"
    )


def _mean(rewards: Collection[float]) -> float | None:
    return round(math.fsum(rewards) / len(rewards), 3) if rewards else None


def pairs_of(run: Run, scores: Sequence[PlanScore]) -> list[PreferencePair]:
    """What the planner is optimized on: exploration's pairs, or those in a file of one's own.

    Raises:
        DataError: The file is wrong.
    """
    explore = run.config.explore
    if explore.pairs is not None:
        return read_pairs(Path(explore.pairs), run.train_tasks())
    return preference_pairs(scores, explore.ties)


def dpo_dataset(run: Run, scores: Sequence[PlanScore]) -> Path | None:
    """Writes the preference pairs (equation 7).

    Returns:
        ``datasets/dpo.jsonl``; None where no task has plans of different quality.
    """
    pairs = pairs_of(run, scores)
    if not pairs:
        run.progress.say("no task has plans of different quality: there is nothing to prefer")
        return None
    tasks = run.train_tasks()
    lines = (pair_line(run.planner_prompt, tasks, pair) for pair in pairs)
    return write_jsonl(run.datasets / "dpo.jsonl", lines)


def rft_dataset(run: Run, scores: Sequence[PlanScore]) -> Path | None:
    """Writes the best plan of each task (section 5.1, RFT); None where no plan ever worked."""
    tasks = run.train_tasks()
    chosen = best_plans(scores, run.config.explore.ties)
    best: list[tuple[str, MetaPlan]] = [(score.task_key, score.plan) for score in chosen]
    if not best:
        run.progress.say("no plan ever earned a reward: there is nothing to select")
        return None
    lines = (plan_line(run.planner_prompt, tasks[key], plan) for key, plan in best)
    return write_jsonl(run.datasets / "rft.jsonl", lines)
