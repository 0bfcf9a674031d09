"""What an environment and a benchmark are to Metaplan.

Text in, text out, with Gymnasium's step semantics. One environment object is one episode, made
from a loaded task, which is the expensive part and may make many. Everything that belongs to one
benchmark is one `Benchmark` record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from random import Random
from typing import Any, Protocol, runtime_checkable

from metaplan.core import ExpertTrajectory, MetaPlan, Task
from metaplan.environments.data import BenchmarkData
from metaplan.environments.texts import packaged_text

__all__ = [
    "Benchmark",
    "Demonstrate",
    "Environment",
    "LoadedTask",
    "Observation",
    "Prompts",
    "SetSize",
    "StepResult",
]


@dataclass(frozen=True, slots=True)
class Observation:
    """What the agent sees first.

    Attributes:
        text: The scene and the task, as the benchmark words them.
        info: Anything else, JSON-serialisable.
    """

    text: str
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one action led to.

    Attributes:
        observation: Text for the agent.
        reward: Task completion rate so far, in [0, 1].
        terminated: The environment ended the episode: solved, or failed for good.
        truncated: The environment cut the episode short by a limit of its own.
        success: The environment's verdict so far.
        valid: False where the environment did not accept the action.
        info: Anything else, JSON-serialisable.
    """

    observation: str
    reward: float
    terminated: bool
    truncated: bool
    success: bool
    valid: bool = True
    info: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Environment(Protocol):
    """One running task."""

    def reset(self) -> Observation:
        """Starts the episode; called once, before any step."""

    def step(self, action: str) -> StepResult:
        """Does one action. Any text is allowed; a senseless one changes nothing.

        Raises:
            EnvironmentFault: The environment itself broke.
        """

    def close(self) -> None:
        """Frees what the episode holds. Safe to call twice."""


@runtime_checkable
class LoadedTask(Protocol):
    """A task whose expensive preparation is done; kept by a worker and reused."""

    def make(self) -> Environment:
        """A fresh environment for one episode. Several may be alive at a time."""


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The benchmark's prompt texts, verbatim from the paper's figures, with ``{slots}``.

    Attributes:
        instruction: The agent's (Figures 10-12), ``{example}``, ``{task_instruction}`` and what
            follows it; the sentence that brings the plan is not part of it.
        planner: The planner's (Figures 7-9 without the conversation): ``{task}``, and
            ``{plan_words}`` / ``{tag}`` for the dialect.
        collection: Figures 7-9 whole: as `planner`, with ``{conversation}``.
    """

    instruction: str
    planner: str
    collection: str

    @classmethod
    def read(cls, package: str) -> Prompts:
        """The three texts in a package's folder ``prompts``, one ``.txt`` file each."""
        names = (prompt.name for prompt in fields(cls))
        return cls(**{name: packaged_text(package, "prompts", name) for name in names})


@dataclass(frozen=True, slots=True)
class SetSize:
    """How large a task set is where its data is complete: for estimates without the data.

    Attributes:
        tasks: How many.
        step_limit: Mean over its tasks.
    """

    tasks: int
    step_limit: float


class Demonstrate(Protocol):
    """Has a task demonstrated by a person; see `Benchmark.demonstrate`."""

    def __call__(
        self, task: Task, person: int | None, plan: MetaPlan | None, varied: bool = False
    ) -> ExpertTrajectory:
        """An episode; its task's instruction is what the person saw first."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """All that belongs to one benchmark: the one plug-in point.

    Registered under the entry-point group ``metaplan.benchmarks``.

    Attributes:
        name: As in task keys and recipes.
        description: One line for ``metaplan envs list``.
        task_sets: Name of each task set to what it holds.
        tasks: Lists a task set, sorted by key; cheap, without instructions.
        load: Prepares a task; expensive, done in a worker process.
        expert: A solved trajectory of a task; expensive. None where there is no expert.
        demonstrate: An episode for agent tuning, with a thought for every step: of the n-th of any
            number of people, who differ in what they think, shown a plan or none. They look first
            where the plan says, and go on by themselves where it is wrong. With a number below 0,
            of somebody whose own plans are shown to others; with None for a number, of an expert
            who knows where things usually lie. A task may be `varied`: the same for all people, in
            a scene that the benchmark doesn't have, so that there are more scenes to learn from;
            where that can't be solved, it is as it is. None where there are no such people: tuning
            then takes `expert`.
        summarise: Tells an expert's trajectory as a meta plan, by rule: the stand-in for an LLM
            (section 3.1). Raises `DataError` where there is nothing to tell. None where there is no
            such rule.
        with_other_goal: Tells a task and its plan with another goal of the same kind, drawn at
            random; None for a task that has none. None where the benchmark can't.
        looks_for: What a task has to find: plans of tasks that look for the same are shown to one
            another's demonstrators. None where that is told by nothing but the whole sentence.
        merge: Makes one plan of several that were drawn for a task; None for plans that don't fit
            together. None where the benchmark can't.
        action_templates: The actions of Table 1's action space, e.g. ``go to {receptacle}``.
        prompts: The paper's prompt texts.
        example: A 1-shot example for a task: an expert's episode with thoughts, as chat text.
        step_limit: Most replies of the agent in one episode of a task.
        fingerprint: What shapes observations and rewards beside the step limit, for a task set:
            grammar, simplifications, generator version, checksum of the data.
        deterministic: Whether equal actions give equal texts.
        data: Its files and what checks them; None for a benchmark without any.
        needs: ``(package, extra)``: import name of the optional package that it can't do without,
            and the extra of Metaplan that brings it; None where nothing else is needed.
        sizes: Of the task sets that need data, as published.
        cpu_per_step_s: CPU seconds of a step with its share of loading, as measured; for estimates.
        serve: Lets a person play a task in a browser: serves pages on the loopback address at a
            port (0: a free one), tells their address, and returns at Ctrl-C. None where there are
            no pages.
    """

    name: str
    description: str
    task_sets: Mapping[str, str]
    tasks: Callable[[str], Sequence[Task]]
    load: Callable[[Task], LoadedTask]
    expert: Callable[[Task], ExpertTrajectory] | None
    demonstrate: Demonstrate | None = None
    summarise: Callable[[ExpertTrajectory], MetaPlan] | None = None
    with_other_goal: Callable[[Task, MetaPlan, Random], tuple[Task, MetaPlan] | None] | None = None
    looks_for: Callable[[Task], str] | None = None
    merge: Callable[[Task, Sequence[MetaPlan]], MetaPlan | None] | None = None
    action_templates: tuple[str, ...]
    prompts: Prompts
    example: Callable[[Task], str]
    step_limit: Callable[[Task], int]
    fingerprint: Callable[[str], Mapping[str, str]]
    deterministic: bool = True
    data: BenchmarkData | None = None
    needs: tuple[str, str] | None = None
    sizes: Mapping[str, SetSize] = field(default_factory=dict)
    cpu_per_step_s: float = 0.001
    serve: Callable[[Task, int, Callable[[str], None]], None] | None = None
