"""Where a study is done: planners are trained, agents play, and nothing is done twice.

Directories of a study: ``seeds/N/`` is the run that trains the planners of seed N, ``agents/NAME/``
the run that holds all evaluation episodes of an agent. There, equal plans of a task share their
episodes, whatever claim, seed or method they come from.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import cached_property

from claims.designs import Arm
from claims.outcomes import Outcome, Played, outcome
from claims.planners import Plans, plans_of_seed
from claims.study import MAIN, Study
from claims.worse_plans import reference_plans
from metaplan.core import EpisodeSpec, Task
from metaplan.episodes import Progress
from metaplan.runs import Run

__all__ = ["PACE", "Laboratory"]

PACE = "claims/seconds per episode"
"""A fact of an agent's run: what its last episodes took, for estimates."""


class Laboratory:
    """Answers what became of arms; what it found out it keeps.

    Args:
        study: What may be asked.
        progress: Where to tell about long work.
    """

    def __init__(self, study: Study, progress: Progress) -> None:
        self.study = study
        self.progress = progress
        self._plans: dict[tuple[str, int | None], Plans] = {}
        self._outcomes: dict[Arm, Outcome] = {}

    @cached_property
    def tasks(self) -> Mapping[str, Mapping[str, Task]]:
        """The test tasks, with their instructions, by split and key: the same for all seeds."""
        config, directory = self.study.arena(MAIN)
        with Run(config, directory, self.progress) as run:
            return run.evaluation_tasks()

    def outcomes(self, arms: Iterable[Arm]) -> dict[Arm, Outcome]:
        """What became of arms; does what is missing for it."""
        wanted = list(arms)
        missing = [arm for arm in wanted if arm not in self._outcomes]
        self._make_plans(missing)
        for agent in dict.fromkeys(arm.way.agent for arm in missing):
            self._play(agent, [arm for arm in missing if arm.way.agent == agent])
        return {arm: self._outcomes[arm] for arm in wanted}

    def _make_plans(self, arms: Iterable[Arm]) -> None:
        """Trains and asks the planners whose plans were not needed before."""
        missing: dict[int | None, list[str]] = {}
        for method, seed in dict.fromkeys((arm.way.method, arm.seed) for arm in arms):
            if (method, seed) not in self._plans:
                missing.setdefault(seed, []).append(method)
        every_task = {key: task for tasks in self.tasks.values() for key, task in tasks.items()}
        for seed, methods in missing.items():
            if seed is not None:
                found = plans_of_seed(self.study, seed, methods, every_task, self.progress)
            else:
                found = {"none": dict.fromkeys(every_task)}
                if methods != ["none"]:
                    found |= self._reference_plans()
            self._plans |= {(method, seed): plans for method, plans in found.items()}

    def _reference_plans(self) -> dict[str, Plans]:
        config, directory = self.study.arena(MAIN)
        splits = self.study.plan.transfer_splits
        tasks = {key: task for split in splits for key, task in self.tasks[split].items()}
        with Run(config, directory, self.progress) as run:
            return dict(reference_plans(run, tasks))

    def _play(self, agent_name: str, arms: Iterable[Arm]) -> None:
        config, directory = self.study.arena(agent_name)
        with Run(config, directory, self.progress) as run:
            specs = {arm: self._specs(run, arm) for arm in arms}
            every = {spec.key: spec for group in specs.values() for spec in group}
            before, started = len(every.keys() & run.store.finished_keys()), time.monotonic()
            run.play(
                list(every.values()),
                run.agent(config.evaluate.temperature),
                purpose="evaluate",
                label=f"agent {agent_name}",
            )
            if new := len(every.keys() & run.store.finished_keys()) - before:
                run.store.set_fact(PACE, (time.monotonic() - started) / new)
            played = {episode.key: Played.of(episode) for episode in run.store.episodes(every)}
            for arm, group in specs.items():
                found = [played[spec.key] for spec in group if spec.key in played]
                tasks = len({spec.task.key for spec in group})
                self._outcomes[arm] = outcome(found, tasks)

    def _specs(self, run: Run, arm: Arm) -> list[EpisodeSpec]:
        """The episodes of an arm: of all tasks of its split that have a plan, or a None for one."""
        agent = run.agent(run.config.evaluate.temperature)
        agent.check_placement(arm.way.placement)
        plans = self._plans[arm.way.method, arm.seed]
        tasks = {key: t for key, t in self.tasks[arm.way.split].items() if key in plans}
        environments = agent.environment_fingerprints(run.benchmark, tasks.values())
        return [
            EpisodeSpec(
                task=task,
                environment=environments[key],
                plan=plans[key],
                placement=arm.way.placement if plans[key] else None,
                agent=agent.fingerprint,
                repetition=repetition,
            )
            for key, task in tasks.items()
            for repetition in range(run.config.evaluate.episodes_per_task)
        ]
