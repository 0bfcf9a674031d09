"""A run: a directory that holds one experiment whole, and what its stages share.

The directory has the resolved configuration (`config.yaml`, re-runnable), the versions of
everything that shapes a number (`versions.json`), `run.db`, `datasets/` (JSONL in TRL's format),
`planners/` (safetensors), and `report/`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

from metaplan.agents import Agent, PromptProfile
from metaplan.core import ConfigError, Episode, EpisodeSpec, Task
from metaplan.environments import Benchmark, get_benchmark
from metaplan.episodes import (
    EnvironmentPool,
    EpisodeRunner,
    EpisodesDone,
    Progress,
    RunStore,
    SilentProgress,
    is_network_mount,
)
from metaplan.episodes.executors import Executor, LocalExecutor, RayExecutor
from metaplan.models import ChatModel, Sampling
from metaplan.planners import PlannerPrompt
from metaplan.recipes import RunConfig, dump_config
from metaplan.recipes.tuning import AgentTuningConfig
from metaplan.runs.files import (
    STATUS_FILE,
    check_inputs,
    check_keys,
    check_same_data,
    settle,
    versions,
    write_text,
)
from metaplan.runs.models import open_agent_model
from metaplan.runs.stopping import stopping_on_signals
from metaplan.runs.tasks import chosen_tasks, in_order_of_choice, read_tasks
from metaplan.runs.trainings import agent_texts, base_model, planner_texts, train
from metaplan.training import DpoSettings, SftSettings

__all__ = ["Run"]

_SNAPSHOT_EVERY_S = 5.0
T = TypeVar("T")


class Run:
    """One experiment in its directory; use as a context manager.

    Args:
        config: What to run. None goes on with what the directory holds.
        directory: Made if absent. An existing run goes on: only missing work is done.
        progress: Where to tell about long work.

    Raises:
        UserError: The configuration names something that is not there; nothing was written.
        RunError: `config` and the directory's configuration differ in shaping fields, another
            process runs in the directory, or it can't be read.
    """

    def __init__(
        self, config: RunConfig | None, directory: str | Path, progress: Progress | None = None
    ) -> None:
        self.directory = Path(directory)
        self.progress: Progress = progress or SilentProgress()
        self.config = settle(config, self.directory)
        self.benchmark: Benchmark = get_benchmark(self.config.benchmark)
        check_inputs(self.config, self.benchmark)
        if not (self.directory / "config.yaml").exists():
            check_keys(self.config)  # later, only who is asked needs a key
        facts = versions(self.benchmark, self._task_sets())
        check_same_data(facts, self.directory)
        self.store = RunStore(self.directory)
        self._runner = asyncio.Runner()
        self._pool: EnvironmentPool | None = None
        self._agent_model: ChatModel | None = None
        self._agent_tuned: Path | None = None
        self._snapshot_due = 0.0 if is_network_mount(self.directory) else None
        try:
            write_text(self.directory / "config.yaml", dump_config(self.config))
            write_text(self.directory / "versions.json", json.dumps(facts, indent=2) + "\n")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends worker processes and the agent, closes the database. Safe to call twice."""
        try:
            pool, self._pool = self._pool, None
            if pool is not None:
                self.wait(pool.close())
            self.free_agent()
            self._runner.close()
        finally:
            self.store.close()

    def _task_sets(self) -> list[str]:
        sets = [self.config.tasks.train, *self.config.tasks.evaluate.values()]
        return sorted({task_set.task_set for task_set in sets})

    # -- what stages share

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs asynchronous work to its end; Ctrl-C cancels it."""
        return self._runner.run(work)

    async def pool(self) -> EnvironmentPool:
        """The environment workers, started when first needed."""
        if self._pool is None:
            runtime, executor = self.config.runtime, await self._executor()
            workers = runtime.workers or await executor.cores()
            self._pool = EnvironmentPool(workers, timeout_s=runtime.timeout_s, executor=executor)
            await self._pool.start()
        return self._pool

    async def _executor(self) -> Executor:
        if self.config.runtime.executor == "local":
            return LocalExecutor()
        return await RayExecutor.connect(
            self.config.runtime.ray, benchmark=self.benchmark.name, task_sets=self._task_sets()
        )

    def agent(self, temperature: float, tuned: Path | None = None) -> Agent:
        """The agent at a temperature: one for exploring, one for tests.

        Args:
            temperature: Of its replies.
            tuned: Directory of an agent that this run has trained; None is the one that the
                configuration names.
        """
        settings = self.config.agent
        if self._agent_model is None or tuned != self._agent_tuned:
            self.free_agent()
            self._agent_model = open_agent_model(settings, tuned)
            self._agent_tuned = tuned
        agent = Agent(
            model=self._agent_model,
            sampling=Sampling(temperature=temperature, max_tokens=settings.max_tokens),
            profile=settings.profile,
            dialect=settings.dialect,
        )
        agent.check_placement(settings.placement)
        return agent

    def exploring_agent(self) -> Agent:
        """The agent as exploration has it: at its temperature, with its limit of steps."""
        explore = self.config.explore
        return replace(self.agent(explore.temperature_of_agent), step_limit=explore.step_limit)

    def free_agent(self) -> None:
        """Frees what the agent holds; the next `agent` loads it again."""
        model, self._agent_model = self._agent_model, None
        if model is not None:
            self.wait(model.close())

    async def episode_runner(self, agent: Agent) -> EpisodeRunner:
        """Runs episodes of an agent in this run's pool and store."""
        runtime = self.config.runtime
        return EpisodeRunner(
            store=self.store,
            pool=await self.pool(),
            agent=agent,
            benchmark=self.benchmark,
            retry=runtime.retry,
            concurrency=runtime.concurrency,
            grace_s=runtime.grace_s,
        )

    def play(
        self,
        specs: Sequence[EpisodeSpec],
        agent: Agent,
        *,
        purpose: str,
        label: str,
        at_most: int | None = None,
    ) -> EpisodesDone:
        """Plays those of the planned episodes that the store lacks.

        Args:
            specs: The target.
            agent: Who acts.
            purpose: ``explore``, ``failures`` or ``evaluate``.
            label: For progress.
            at_most: Where more may be planned later: most episodes still to play, for `status`.

        Raises:
            RunError: Nothing works any more; what is finished is kept.
            Interrupted: A signal came; episodes that were in flight got time to finish.
        """
        planned = {spec.key for spec in specs}
        done = len(planned & self.store.finished_keys())
        if done == len(planned):
            return EpisodesDone(planned=done, resumed=done, void=())
        self.store.set_missing(purpose, len(planned) - done, at_most=at_most)

        async def play() -> EpisodesDone:
            runner = await self.episode_runner(agent)
            played = void = 0
            reward = 0.0
            with (
                self.progress.track(label, len(planned), done) as tracker,
                stopping_on_signals(self._say_that_it_stops) as stopping,
            ):

                def on_episode(episode: Episode) -> None:
                    nonlocal played, void, reward
                    if episode.stop_reason.is_void:
                        void += 1
                        tracker.advance(0, void=void)
                        return
                    played += 1
                    reward += episode.reward
                    self._write_snapshot()
                    tracker.advance(reward=reward / played)

                return await runner.run(
                    specs, purpose=purpose, on_episode=on_episode, stopping=stopping.event
                )

        try:
            outcome = self.wait(play())
        finally:
            self._write_snapshot(now=True)  # after an interruption, too, it says what there is
        if outcome.void:
            self.progress.say(
                f"{len(outcome.void)} of {outcome.planned} episodes came to nothing in all "
                f"attempts ('metaplan status' names the causes); they enter no mean, and running "
                f"the same command again tries them again"
            )
        return outcome

    def _say_that_it_stops(self) -> None:
        in_flight = 0 if self._pool is None else self._pool.environments
        self.progress.say(
            f"stopping: {in_flight} episodes in flight get up to {self.config.runtime.grace_s:g} s "
            f"to finish (once more stops at once)"
        )

    @cached_property
    def planner_prompt(self) -> PlannerPrompt:
        """How this run's planners are asked, in training and in use."""
        settings = self.config.planner
        if settings.profile is PromptProfile.COMPACT:
            return PlannerPrompt.compact(settings.dialect, settings.max_tokens)
        return PlannerPrompt(
            template=self.benchmark.prompts.planner,
            dialect=settings.dialect,
            max_tokens=settings.max_tokens,
        )

    @property
    def tuning(self) -> AgentTuningConfig:
        """How this run trains its agent.

        Raises:
            ConfigError: It does not.
        """
        if self.config.tuning is None:
            raise ConfigError("this run tunes no agent: its recipe has no field 'tuning'")
        return self.config.tuning

    @property
    def datasets(self) -> Path:
        """Where training data and exports go."""
        return self.directory / "datasets"

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Times a stage; what is put into the dictionary is kept when it finishes."""
        started = time.monotonic()
        result: dict[str, Any] = {}
        self.store.begin_stage(name)
        try:
            yield result
        finally:
            self.store.add_stage_time(name, time.monotonic() - started)
        self.store.finish_stage(name, result)
        self._write_snapshot(now=True)
        facts = ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in result.items())
        said = f"{name}: {facts}" if facts else name
        self.progress.say(f"{said} ({time.monotonic() - started:.1f} s)")

    def _write_snapshot(self, *, now: bool = False) -> None:
        """On network mounts, where the database can't be shared, `status` reads a file."""
        if self._snapshot_due is None or (not now and time.monotonic() < self._snapshot_due):
            return
        self._snapshot_due = time.monotonic() + _SNAPSHOT_EVERY_S
        write_text(self.directory / STATUS_FILE, self.store.status().model_dump_json())

    def fine_tune(
        self,
        method: str,
        dataset: Path | None,
        settings: SftSettings | DpoSettings,
        *,
        start: Path | None = None,
    ) -> Path:
        """Trains a planner of this run.

        Args:
            method: ``sft``, ``rft`` or ``mpo``: the stage and the planner's directory.
            dataset: JSONL in TRL's format; None where there is nothing to learn.
            settings: Of SFT or DPO.
            start: A planner to start from; None starts from the recipe's base model.

        Returns:
            The planner's directory: that of `start` where there is nothing to learn.
        """
        if dataset is None:
            if start is None:
                raise ValueError("there is neither a dataset nor a planner to fall back to")
            return start
        out = self.directory / "planners" / method
        base = start or base_model(
            self.config.planner, planner_texts(dataset), out.with_name("base")
        )
        train(self, base, dataset, out, settings)
        self.planner_prompt.save(out)
        return out

    def tune_agent(
        self,
        method: str,
        dataset: Path | None,
        settings: SftSettings | DpoSettings,
        *,
        start: Path | None = None,
    ) -> Path:
        """Trains an agent of this run, as `fine_tune` trains a planner.

        Args:
            method: ``sft`` or ``eto``: the stage and the agent's directory.
            dataset: As there; an SFT set of agents has whole conversations.
            settings: As there.
            start: An agent to start from; None starts from the base model of `tuning`.
        """
        if dataset is None:
            if start is None:
                raise ValueError("there is neither a dataset nor an agent to fall back to")
            return start
        out = self.directory / "agents" / method
        base = start or base_model(
            self.tuning, agent_texts(dataset, self.config.agent.dialect), out.with_name("base")
        )
        self.free_agent()  # beside a model that plays, a GPU may have no room for one that learns
        train(self, base, dataset, out, settings)
        return out

    # -- tasks

    def train_tasks(self) -> dict[str, Task]:
        """Training tasks with their instructions."""
        return self._train_tasks

    @cached_property
    def _train_tasks(self) -> dict[str, Task]:
        return read_tasks(self, self.config.tasks.train)  # several stages ask for them

    def chosen_train_tasks(self) -> list[Task]:
        """Training tasks without their instructions."""
        return chosen_tasks(self.benchmark, self.config.tasks.train, self.config.seed)

    def explored_tasks(self) -> dict[str, Task]:
        """The training tasks that are explored: a prefix of them in the order of choice."""
        tasks = self.train_tasks()
        keys = in_order_of_choice(tasks, self.config.seed)[: self.config.explore.tasks]
        return {key: tasks[key] for key in sorted(keys)}

    def evaluation_tasks(self) -> dict[str, dict[str, Task]]:
        """Tasks of each split, with their instructions."""
        splits = self.config.tasks.evaluate
        return {split: read_tasks(self, wanted) for split, wanted in splits.items()}
