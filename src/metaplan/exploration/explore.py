"""The exploring stages of a run: sample plans, play episodes, build datasets (3.2 and 3.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from metaplan.core import Episode, MetaPlan, PlanScore, PreferencePair
from metaplan.exploration.pairs import best_plans, preference_pairs, read_pairs
from metaplan.exploration.quality import exploration_specs, incomplete_plans, plan_scores
from metaplan.planners import PlanSample, pair_line, plan_line, write_jsonl
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
    """Plays N episodes with each plan and scores it: `Q(p)` (equations 5 and 6).

    Returns:
        Scores of the complete plans; incomplete ones are reported and left out.
    """
    config = run.config.explore
    tasks = run.explored_tasks()
    agent = run.agent(config.temperature)
    plans = {key: [s.plan for s in group if s.plan] for key, group in samples.items()}
    specs = exploration_specs(
        plans,
        tasks,
        episodes_per_plan=config.episodes_per_plan,
        placement=run.config.agent.placement,
        environments=agent.environment_fingerprints(run.benchmark, tasks.values()),
        agent=agent.fingerprint,
    )
    with run.stage("explore") as result:
        run.play(specs, agent, purpose="explore", label="exploring")
        episodes = {
            episode.key: episode for episode in run.store.episodes(spec.key for spec in specs)
        }
        scores = plan_scores(specs, episodes)
        result.update(
            plans=len(scores),
            episodes=len(episodes),
            mean_reward=_mean_reward(episodes),
            incomplete_plans=len(incomplete_plans(specs, episodes)),
        )
    write_jsonl(
        run.datasets / "plan_scores.jsonl", (score.model_dump(mode="json") for score in scores)
    )
    return scores


def _mean_reward(episodes: Mapping[str, Episode]) -> float | None:
    rewards = [episode.reward for episode in episodes.values()]
    return round(math.fsum(rewards) / len(rewards), 3) if rewards else None


def pairs_of(run: Run, scores: Sequence[PlanScore]) -> list[PreferencePair]:
    """What the planner is optimized on: exploration's pairs, or those in a file of one's own.

    Raises:
        DataError: The file is wrong.
    """
    own = run.config.explore.pairs
    return preference_pairs(scores) if own is None else read_pairs(Path(own), run.train_tasks())


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
    best: list[tuple[str, MetaPlan]] = [(s.task_key, s.plan) for s in best_plans(scores)]
    if not best:
        run.progress.say("no plan ever earned a reward: there is nothing to select")
        return None
    lines = (plan_line(run.planner_prompt, tasks[key], plan) for key, plan in best)
    return write_jsonl(run.datasets / "rft.jsonl", lines)
