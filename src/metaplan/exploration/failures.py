"""What a tuned agent can't do yet: its failures beside experts' trajectories (ETO).

Exploration-based trajectory optimization (Song et al., 2024): the agent plays the tasks that it was
trained on; where it earns less than the expert did, the two episodes make a pair, and DPO moves it
from the one towards the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metaplan.agents import Demonstration, episode_turns
from metaplan.core import Episode, EpisodeSpec
from metaplan.planners import write_jsonl
from metaplan.runs import (
    Run,
    conversation_beside,
    demonstrated_conversation,
    in_order_of_choice,
)

__all__ = ["eto_dataset"]


def eto_dataset(run: Run, agent: Path, demonstrations: Sequence[Demonstration]) -> Path | None:
    """Lets an agent play what it was shown, and pairs its failures with the expert's trajectories.

    It plays each task once, at the temperature of exploration, and reads the plan that it was
    shown with the first demonstration of the task, or none. Episodes are kept in the run: an
    interrupted stage goes on.

    Args:
        run: With its `tuning`.
        agent: Directory of the agent that was trained on the demonstrations.
        demonstrations: Of which the first of each task is paired.

    Returns:
        ``datasets/agent_eto.jsonl``; None where the agent did nowhere worse than the expert.
    """
    with run.stage("failures") as result:
        chosen = _first_of_each_task(run, demonstrations)
        episodes = _play(run, agent, chosen)
        pairs = [
            (chosen[key], episode)
            for key, episode in episodes.items()
            if episode.reward < chosen[key].trajectory.reward and _says_something(episode)
        ]
        result.update(episodes=len(episodes), pairs=len(pairs))
    if not pairs:
        run.progress.say("the agent did nowhere worse than the expert: there is nothing to prefer")
        return None
    return write_jsonl(
        run.datasets / "agent_eto.jsonl", (_line(run, shown, failed) for shown, failed in pairs)
    )


def _first_of_each_task(
    run: Run, demonstrations: Sequence[Demonstration]
) -> dict[str, Demonstration]:
    """By task key, those in its very scene; of so many training tasks as the recipe says."""
    tasks = run.train_tasks()
    first: dict[str, Demonstration] = {}
    for shown in demonstrations:
        seen = shown.trajectory.task
        if seen.key in tasks and seen.instruction == tasks[seen.key].instruction:
            first.setdefault(seen.key, shown)
    wanted = in_order_of_choice(first, run.config.seed)[: run.tuning.eto_tasks]
    return {key: first[key] for key in sorted(wanted)}


def _play(run: Run, agent: Path, chosen: Mapping[str, Demonstration]) -> dict[str, Episode]:
    """Finished episodes by task key."""
    player = run.agent(run.config.explore.temperature, agent)
    tasks = run.train_tasks()
    environments = player.environment_fingerprints(run.benchmark, map(tasks.__getitem__, chosen))
    specs = [
        EpisodeSpec(
            task=tasks[key],
            environment=environments[key],
            plan=shown.plan,
            placement=run.config.agent.placement if shown.plan else None,
            agent=player.fingerprint,
        )
        for key, shown in chosen.items()
    ]
    run.play(specs, player, purpose="failures", label="playing what was shown")
    return {episode.task_key: episode for episode in run.store.episodes(s.key for s in specs)}


def _says_something(episode: Episode) -> bool:
    """Whether it can be learned from: trainers refuse empty messages."""
    return bool(episode.turns) and all(turn.reply.strip() for turn in episode.turns)


def _line(run: Run, shown: Demonstration, failed: Episode) -> dict[str, Any]:
    trajectory = shown.trajectory
    opening, *chosen = demonstrated_conversation(run, shown)
    _, *rejected = conversation_beside(run, shown, episode_turns(failed))
    return {
        "prompt": [opening],
        "chosen": chosen,
        "rejected": rejected,
        "task_key": trajectory.task.key,
        "plan_key": shown.plan.key if shown.plan else None,
        "chosen_score": trajectory.reward,
        "rejected_score": failed.reward,
    }
