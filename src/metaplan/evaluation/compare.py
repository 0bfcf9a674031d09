"""The last playing stage of a run: one agent with each planner's plans (section 4), or agents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metaplan.agents import Agent
from metaplan.core import EpisodeSpec, MetaPlan, Task
from metaplan.evaluation.evaluate import evaluate
from metaplan.evaluation.records import Arm, Results
from metaplan.planners import write_jsonl
from metaplan.recipes import PromptedConfig
from metaplan.runs import Run, sample_plans

__all__ = ["Comparison", "compare_agents", "compare_planners"]

Plans = Mapping[str, MetaPlan | None]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What was played, and what it says."""

    arms: tuple[Arm, ...]
    results: Results


def compare_planners(run: Run, planners: Mapping[str, Path | PromptedConfig | None]) -> Comparison:
    """Evaluates planners on every split of the recipe.

    Plans are greedy, one a task, written once and the same for every agent (section 4.1); they
    are exported as ``datasets/plans-<method>-<split>.jsonl``. Where two methods write the same
    plan for a task they share its episodes. A task whose completion holds no plan is played
    without one and stays in the method's mean.

    Args:
        run: With the recipe's splits, methods and agent.
        planners: Method to planner: a trained one's directory, or the LLM that is prompted; None
            plays without plans. Those that the recipe compares are played.
    """
    agent = run.agent(run.config.evaluate.temperature)
    splits = run.evaluation_tasks()
    methods = run.config.evaluate.methods
    chosen = {method: planners[method] for method in methods if method in planners}
    with run.stage("evaluate") as result:
        planned: dict[tuple[str, str], list[EpisodeSpec]] = {}
        unreadable = 0
        every_task = {key: task for tasks in splits.values() for key, task in tasks.items()}
        for method, planner in chosen.items():
            written = _greedy_plans(run, planner, every_task, f"{method} plans")
            for split, tasks in splits.items():
                plans = {key: written[key] for key in tasks}
                if planner is not None:
                    unreadable += sum(plan is None for plan in plans.values())
                    _export(run, method, split, tasks, plans)
                planned[method, split] = _specs(run, agent, tasks, plans)
        specs = [spec for group in planned.values() for spec in group]
        run.play(specs, agent, purpose="evaluate", label="evaluating")
        arms = [
            _arm(run, agent, method, split, group) for (method, split), group in planned.items()
        ]
        result.update(
            episodes=len({episode.key for arm in arms for episode in arm.episodes}),
            unreadable_plans=unreadable,
        )
    return _compared(run, arms)


def compare_agents(run: Run, agents: Iterable[Path]) -> Comparison:
    """Evaluates agents that a run has trained, without plans, on every split of the recipe.

    Args:
        run: With the recipe's splits.
        agents: Their directories; each is loaded once, and freed before the next.
    """
    splits = run.evaluation_tasks()
    arms: list[Arm] = []
    with run.stage("evaluate") as result:
        for directory in agents:
            agent = run.agent(run.config.evaluate.temperature, directory)
            planned = {
                split: _specs(run, agent, tasks, dict.fromkeys(tasks))
                for split, tasks in splits.items()
            }
            specs = [spec for group in planned.values() for spec in group]
            run.play(specs, agent, purpose="evaluate", label=f"evaluating {agent.model.name}")
            arms += [_arm(run, agent, "none", split, group) for split, group in planned.items()]
        result.update(episodes=sum(len(arm.episodes) for arm in arms))
    return _compared(run, arms)


def _compared(run: Run, arms: Sequence[Arm]) -> Comparison:
    results = evaluate(arms, seed=run.config.seed)
    run.store.set_fact("results", results.model_dump(mode="json"))
    return Comparison(arms=tuple(arms), results=results)


def _greedy_plans(
    run: Run, planner: Path | PromptedConfig | None, tasks: Mapping[str, Task], label: str
) -> Plans:
    if planner is None:
        return dict.fromkeys(tasks)
    samples = sample_plans(run, planner, tasks, count=1, temperature=0.0, label=label)
    return {key: group[0].plan for key, group in samples.items()}


def _export(run: Run, method: str, split: str, tasks: Mapping[str, Task], plans: Plans) -> None:
    write_jsonl(
        run.datasets / f"plans-{method}-{split}.jsonl",
        (
            {
                "task_key": key,
                "instruction": tasks[key].instruction,
                "plan": plan.text if plan else None,
            }
            for key, plan in plans.items()
        ),
    )


def _specs(run: Run, agent: Agent, tasks: Mapping[str, Task], plans: Plans) -> list[EpisodeSpec]:
    acting = agent.fingerprint
    environments = agent.environment_fingerprints(run.benchmark, tasks.values())
    return [
        EpisodeSpec(
            task=tasks[key],
            environment=environments[key],
            plan=plan,
            placement=run.config.agent.placement if plan else None,
            agent=acting,
            repetition=repetition,
        )
        for key, plan in plans.items()
        for repetition in range(run.config.evaluate.episodes_per_task)
    ]


def _planner_name(run: Run, method: str) -> str:
    if method == "none":
        return ""
    prompted = run.config.prompted
    return prompted.served.model if method == "prompted" and prompted else run.config.planner.base


def _arm(run: Run, agent: Agent, method: str, split: str, specs: list[EpisodeSpec]) -> Arm:
    return Arm(
        benchmark=run.config.benchmark,
        split=split,
        agent=agent.model.name,
        planner=_planner_name(run, method),
        method=method,
        placement=None if method == "none" else run.config.agent.placement,
        seed=run.config.seed,
        episodes=tuple(run.store.episodes(spec.key for spec in specs)),
        task_types={spec.task.key: spec.task.task_type for spec in specs},
        planned=len(specs),
    )
