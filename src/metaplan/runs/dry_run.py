"""What a run would do, before it does it: stage by stage, episodes, tokens, hours, disk."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean

from metaplan.core import DataError, MissingDependencyError, Task
from metaplan.environments import Benchmark, get_benchmark
from metaplan.episodes import EpisodeSummary
from metaplan.recipes import RunConfig, changed_fields, load_recipe
from metaplan.recipes.config import PlannerConfig, TaskSetConfig
from metaplan.recipes.tuning import AgentTuningConfig
from metaplan.runs.costs import ASSUMPTIONS, NOTHING, Effort, Sized, Tokens, scratch_parameters
from metaplan.runs.files import read_status
from metaplan.runs.lengths import CHARACTERS_PER_TOKEN, Lengths
from metaplan.runs.models import agent_directory
from metaplan.runs.tasks import chosen_tasks
from metaplan.training import DpoSettings, SftSettings

__all__ = ["DryRun", "PlannedStage", "estimate_run"]

_HARNESS_S_PER_TURN = 0.001
_BYTES_PER_TURN = 160  # beside its texts


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """A stage's work; all but `done` are upper bounds of what is still to do.

    Attributes:
        name: ``collect``, ``sft``, ``sample``, ``explore``, ``mpo``, ``rft``, ``evaluate``; of an
            agent ``demonstrate``, ``sft``, ``failures``, ``eto``, ``evaluate``.
        tasks: That it is about.
        episodes: In all; 0 for a stage without any. Equal plans share theirs.
        done: Of these, what the run has.
        missing: Still to play.
        turns_each: As measured in this run, where it has episodes; else the step limit.
        effort: Of models.
        cpu_h: Of environments, harness and small models.
        disk_b: What is kept, in bytes.
        working_b: What is needed only while the stage runs.
        finished: Whether nothing is left to do.
        duration_s: At the rate of this run's newest episodes; None where it has none.
    """

    name: str
    tasks: int
    episodes: int = 0
    done: int = 0
    missing: int = 0
    turns_each: float = 0.0
    effort: Effort = NOTHING
    cpu_h: float = 0.0
    disk_b: float = 0.0
    working_b: float = 0.0
    finished: bool = False
    duration_s: float | None = None

    @property
    def turns(self) -> int:
        """Still to play."""
        return round(self.missing * self.turns_each)


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a run would do.

    Attributes:
        stages: In order.
        notes: Assumptions, and what is not on this machine.
    """

    stages: tuple[PlannedStage, ...]
    notes: tuple[str, ...]


def estimate_run(config: RunConfig, directory: Path) -> DryRun:
    """Estimates a run, or what is left of one.

    Where a benchmark's data is absent, published counts stand in for its tasks.

    Args:
        config: The run.
        directory: Its directory; need not exist.

    Raises:
        UserError: A task set does not exist or is too small, or nothing is known about it.
    """
    estimate = _Estimate(config, directory)
    stages = tuple(estimate.stages())
    return DryRun(stages=stages, notes=(*estimate.missing_data, *_assumptions(stages)))


def _assumptions(stages: tuple[PlannedStage, ...]) -> Iterator[str]:
    yield (
        "Upper bounds: equal plans share episodes, solved episodes end early, ties make no pair; "
        "but a summary that is asked for again is not counted. "
        f"A token is {CHARACTERS_PER_TOKEN:.0f} characters; texts are as long as those of the "
        "benchmark's prompts and examples, or of this run. 'cached' is what a prefix cache has."
    )
    if any(stage.effort.gpu_h for stage in stages):
        yield ASSUMPTIONS
    if any(stage.effort.gpu_h is None for stage in stages):
        yield "'?': a model's size is read from its name ('…-8B') or its files; one has neither."


@dataclass(frozen=True)
class _TaskSet:
    """The chosen tasks of a set; only their number is known where its data is absent."""

    count: int
    step_limit: float
    tasks: list[Task]


def _learner(settings: PlannerConfig | AgentTuningConfig) -> Sized:
    """A model that is trained."""
    if settings.base == "scratch":
        return Sized(scratch_parameters(settings.scratch))
    return Sized.at(settings.base)


class _Estimate:
    """One run, looked at: what there is, and what each stage would add."""

    def __init__(self, config: RunConfig, directory: Path) -> None:
        self._config = config
        self._benchmark: Benchmark = get_benchmark(config.benchmark)
        self._status = read_status(directory) if (directory / "run.db").exists() else None
        # Seen from the other side, what was added is missing; operational fields don't matter.
        self._grows = self._status is None or bool(
            changed_fields(config, load_recipe(directory / "config.yaml"))
        )
        self.missing_data: list[str] = []
        self._train = self._task_set(config.tasks.train)
        self._tests = [self._task_set(split) for split in config.tasks.evaluate.values()]
        known = [task for found in (self._train, *self._tests) for task in found.tasks]
        self._lengths = Lengths.of(config, self._benchmark, known)

    def stages(self) -> Iterator[PlannedStage]:
        """In the order of the pipeline; training only where a method needs it."""
        config, train = self._config, self._train
        if config.tuning is not None:
            yield from self._tune(config.tuning)
        elif config.trains_planner:
            explored = min(train.count, config.explore.tasks or train.count)
            yield self._collect()
            yield self._plan_training("sft", config.sft, train.count)
            yield self._sample(explored)
            yield self._explore(explored)
            yield self._plan_training("mpo", config.dpo, explored)
            yield self._plan_training("rft", config.rft, explored)
        yield self._evaluate()

    def _task_set(self, wanted: TaskSetConfig) -> _TaskSet:
        size = self._benchmark.sizes.get(wanted.task_set)
        try:
            tasks = self._benchmark.tasks(wanted.task_set) if size else ()
            limits = {task.key: self._benchmark.step_limit(task) for task in tasks}
        except (DataError, MissingDependencyError) as error:
            if size is None:
                raise
            self.missing_data.append(f"{wanted.task_set} is counted as published: {error}")
            return _TaskSet(min(wanted.count or size.tasks, size.tasks), size.step_limit, [])
        chosen = chosen_tasks(self._benchmark, wanted, self._config.seed)
        steps = fmean(limits.get(t.key) or self._benchmark.step_limit(t) for t in chosen)
        return _TaskSet(len(chosen), steps, chosen)

    def _finished(self, stage: str) -> bool:
        there = self._status.stages.get(stage) if self._status else None
        return there is not None and there.result is not None and not self._grows

    @cached_property
    def _planner(self) -> Sized:
        return _learner(self._config.planner)

    @cached_property
    def _agent(self) -> Sized | None:
        """None for the plan follower, which is no language model."""
        settings, tuning = self._config.agent, self._config.tuning
        if tuning is not None:
            return _learner(tuning)
        if settings.served is not None:
            return Sized.served(settings.served)
        if settings.path is not None:
            return Sized.at(str(agent_directory(settings.path)))
        return None

    def _collect(self) -> PlannedStage:
        settings, lengths, tasks = self._config.collect, self._lengths, self._train.count
        if settings.seed_plans is not None or self._finished("collect"):
            return PlannedStage(name="collect", tasks=tasks, finished=True)
        effort = NOTHING
        if settings.summariser is not None:
            asked = Tokens(prompt=tasks * lengths.summarising, completion=tasks * lengths.plan)
            effort = Sized.served(settings.summariser.served).use(asked)
        steps = 0 if settings.trajectories else tasks * lengths.expert_steps
        return PlannedStage(
            name="collect",
            tasks=tasks,
            effort=effort,
            cpu_h=effort.cpu_h + steps * self._benchmark.cpu_per_step_s / 3600,
            disk_b=tasks * lengths.expert_steps * self._turn_b,
        )

    def _tune(self, tuning: AgentTuningConfig) -> Iterator[PlannedStage]:
        """Demonstrations, and what the agent learns from them and from its failures."""
        tasks = self._train.count
        people = [tuning.people_for(task.task_type) for task in self._train.tasks]
        shown = sum(people) or tasks * tuning.people
        steps = shown * self._lengths.expert_steps
        yield (
            PlannedStage(name="demonstrate", tasks=tasks, finished=True)
            if self._finished("demonstrate")
            else PlannedStage(
                name="demonstrate",
                tasks=tasks,
                cpu_h=steps * self._benchmark.cpu_per_step_s / 3600,
                disk_b=2 * steps * self._turn_b,  # in the database, and as a dataset
            )
        )
        learner = _learner(tuning)
        once = self._lengths.opening + self._lengths.expert_steps * self._lengths.growth
        yield self._training("sft", tuning.sft, learner, shown, once)
        if tuning.eto is not None:
            played = min(tasks, tuning.eto_tasks or tasks)
            limit = self._train.step_limit
            yield self._played("failures", played, played, limit=limit)
            failed = self._lengths.opening + limit * self._lengths.growth
            yield self._training("eto", tuning.eto, learner, played, (once + failed) / 2)

    def _plan_training(
        self, method: str, settings: SftSettings | DpoSettings, examples: int
    ) -> PlannedStage:
        tokens = self._lengths.planning + self._lengths.plan
        return self._training(method, settings, self._planner, examples, tokens)

    def _training(
        self,
        method: str,
        settings: SftSettings | DpoSettings,
        learner: Sized,
        examples: int,
        tokens: float,
    ) -> PlannedStage:
        if self._finished(method):
            return PlannedStage(name=method, tasks=examples, finished=True)
        effort = learner.train(settings, examples, tokens)
        kept, working = learner.files_b(settings)
        return PlannedStage(
            name=method,
            tasks=examples,
            effort=effort,
            cpu_h=effort.cpu_h,
            disk_b=kept,
            working_b=working,
        )

    def _sample(self, tasks: int) -> PlannedStage:
        if self._finished("sample"):
            return PlannedStage(name="sample", tasks=tasks, finished=True)
        effort = self._planner.use(self._plans(tasks * self._config.explore.plans_per_task))
        return PlannedStage(
            name="sample",
            tasks=tasks,
            effort=effort,
            cpu_h=effort.cpu_h,
            disk_b=effort.tokens.completion * CHARACTERS_PER_TOKEN,
        )

    def _plans(self, count: int) -> Tokens:
        return Tokens(prompt=count * self._lengths.planning, completion=count * self._lengths.plan)

    def _explore(self, tasks: int) -> PlannedStage:
        explore = self._config.explore
        episodes = tasks * explore.plans_per_task * explore.episodes_per_plan
        merged = tasks * explore.merged * explore.episodes_per_plan
        adaptive = explore.allocation == "adaptive"
        return self._played(
            "explore",
            tasks,
            math.ceil(episodes * explore.budget) if adaptive else episodes + merged,
            limit=min(self._train.step_limit, explore.step_limit or math.inf),
            alike=explore.episodes_per_plan,
            planned=not adaptive or self._finished("explore"),
        )

    def _evaluate(self) -> PlannedStage:
        config, tasks = self._config, sum(test.count for test in self._tests)
        methods = config.evaluate.methods
        limit = sum(test.count * test.step_limit for test in self._tests) / tasks
        agents = 2 if config.tuning is not None and config.tuning.eto is not None else 1
        each = agents * len(methods) * config.evaluate.episodes_per_task
        played = self._played("evaluate", tasks, tasks * each, limit=limit)
        if not played.missing:
            return played
        trained = set(methods) - {"none", "prompted"}
        planning = self._planner.use(self._plans(tasks * len(trained)))
        if config.prompted is not None and "prompted" in methods:
            asked = Tokens(
                prompt=tasks * self._lengths.prompted, completion=tasks * self._lengths.plan
            )
            planning += Sized.served(config.prompted.served).use(asked)
        return replace(played, effort=played.effort + planning, cpu_h=played.cpu_h + planning.cpu_h)

    def _played(
        self,
        purpose: str,
        tasks: int,
        episodes: int,
        *,
        limit: float,
        alike: int = 1,
        planned: bool = True,
    ) -> PlannedStage:
        """Episodes of one purpose.

        Args:
            purpose: ``explore`` or ``evaluate``.
            tasks: How many.
            episodes: Of all of them.
            limit: Mean step limit.
            alike: Episodes that begin with the same message, which a cache then has.
            planned: Whether those that were planned last are all; else rounds may follow.
        """
        there = self._summary(purpose)
        # What was planned last is known exactly, equal plans and all; what will be, is not.
        known = planned and there is not None and not self._grows
        done = there.episodes if there else 0
        missing = there.missing if there and known else max(episodes - done, 0)
        turns = there.steps if there else limit
        effort = NOTHING
        if self._agent is not None:
            effort = self._agent.use(self._conversations(missing, turns, alike, there))
        rate = self._status.rates.episodes if self._status else 0.0
        work_s = missing * turns * (self._benchmark.cpu_per_step_s + _HARNESS_S_PER_TURN)
        return PlannedStage(
            name=purpose,
            tasks=tasks,
            episodes=episodes,
            done=done,
            missing=missing,
            turns_each=turns,
            effort=effort,
            cpu_h=effort.cpu_h + work_s / 3600,
            disk_b=missing * turns * self._turn_b,
            finished=known and missing == 0,
            duration_s=missing / rate if rate else None,
        )

    def _summary(self, purpose: str) -> EpisodeSummary | None:
        """What the run has of a purpose; None where it has nothing."""
        found = self._status.episodes if self._status else ()
        return next((there for there in found if there.purpose == purpose and there.episodes), None)

    def _conversations(
        self, episodes: int, turns: float, alike: int, there: EpisodeSummary | None
    ) -> Tokens:
        """Every turn sends the whole conversation so far, of which only its end is new."""
        opening, growth = self._lengths.opening, self._lengths.growth
        prompt = turns * opening + growth * turns * (turns - 1) / 2
        new = opening / alike + growth * (turns - 1)
        completion = turns * self._lengths.reply
        if there and there.prompt_tokens:
            new *= there.prompt_tokens / there.episodes / prompt
            prompt = there.prompt_tokens / there.episodes
            completion = there.completion_tokens / there.episodes
        return Tokens(
            prompt=episodes * prompt,
            cached=episodes * (prompt - new),
            completion=episodes * completion,
        )

    @property
    def _turn_b(self) -> float:
        """What a kept turn takes."""
        return _BYTES_PER_TURN + self._lengths.growth * CHARACTERS_PER_TOKEN
