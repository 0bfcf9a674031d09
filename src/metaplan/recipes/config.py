"""The configuration of a run: every number that shapes it, in one frozen record.

Fields are of three kinds. *Shaping* fields make a run what it is: a run directory refuses to go on
with other values. *Operational* fields (`OPERATIONAL`) say how it is carried out and may change at
any time. *Extendable* fields (`EXTENDABLE`) may grow, and splits may be added (`ADDABLE`): only the
missing work is done.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from metaplan.agents import PromptProfile
from metaplan.core import ConfigError, Dialect, Placement, Record
from metaplan.episodes import RetryPolicy
from metaplan.episodes.executors import RaySettings
from metaplan.models.follower import FollowerSettings
from metaplan.models.served import SERVED_OPERATIONAL, ServedSettings
from metaplan.recipes.collecting import CollectConfig
from metaplan.recipes.tuning import AgentTuningConfig
from metaplan.training import DpoSettings, ScratchSettings, SftSettings

__all__ = [
    "ADDABLE",
    "EXTENDABLE",
    "OPERATIONAL",
    "AgentConfig",
    "EvaluateConfig",
    "ExploreConfig",
    "Method",
    "PlannerConfig",
    "PromptedConfig",
    "RunConfig",
    "RuntimeConfig",
    "TaskSetConfig",
    "TasksConfig",
    "Ties",
    "changed_fields",
]

Ties = Literal["one", "all"]
Method = Literal["none", "sft", "prompted", "rft", "mpo"]
_TRAINED = {"sft", "rft", "mpo"}

OPERATIONAL = (
    "runtime.*",
    "description",
    "agent.max_batch",
    "planner.max_batch",
    "*.report_to",
    "*.per_device_batch_size",
    *(f"*.served.{field}" for field in SERVED_OPERATIONAL),
    "*.served.prices.*",
)
EXTENDABLE = (
    "tasks.train.count",
    "tasks.evaluate.*.count",
    "explore.tasks",
    "explore.plans_per_task",
    "explore.episodes_per_plan",
    "explore.budget",
    "explore.merged",
    "evaluate.episodes_per_task",
    "tuning.people",
    "tuning.eto_tasks",
)
ADDABLE = ("tasks.evaluate.*",)


class TaskSetConfig(Record):
    """Tasks of one set.

    Attributes:
        task_set: A name from the benchmark's task sets.
        count: How many of them, chosen by the hash of their keys (so that a larger count contains
            a smaller one); null takes all.
    """

    task_set: str
    count: int | None = Field(default=None, ge=1)


class TasksConfig(Record):
    """Which tasks.

    Attributes:
        train: Where seed plans and exploration come from.
        evaluate: Splits of the report, by the name that it gives them.
    """

    train: TaskSetConfig
    evaluate: dict[str, TaskSetConfig] = Field(min_length=1)


class AgentConfig(Record):
    """Who acts, in exploration and evaluation.

    Attributes:
        model: ``follower`` (the embedded rule-based plan follower), ``local`` (a transformers
            model on this machine), ``served`` (behind an OpenAI-compatible endpoint) or ``tuned``
            (the one that the run itself trains: `RunConfig.tuning`).
        path: Of a local model: its directory, or the name of a built-in model.
        served: Of a served model: its name, and where it is served.
        follower: Parameters of the plan follower.
        profile: ``paper`` (Figures 10-12, 1-shot) or ``compact``.
        dialect: What a plan is called.
        placement: Where the plan goes (Table 4).
        max_tokens: Longest reply.
        max_batch: Most replies that a local model draws at once.
    """

    model: Literal["follower", "local", "served", "tuned"] = "follower"
    path: str | None = None
    served: ServedSettings | None = None
    follower: FollowerSettings = FollowerSettings()
    profile: PromptProfile = PromptProfile.PAPER
    dialect: Dialect = Dialect.META_PLAN
    placement: Placement = Placement.INSTRUCTION
    max_tokens: int = Field(default=256, ge=1)
    max_batch: int = Field(default=64, ge=1)

    @model_validator(mode="after")
    def _a_model_is_whole(self) -> AgentConfig:
        if self.model == "local" and self.path is None:
            raise ValueError("'path' is needed for model 'local': a directory, or a built-in name")
        if self.model != "local" and self.path is not None:
            raise ValueError(f"'path' is of model 'local' alone: null for model {self.model!r}")
        if (self.model == "served") != (self.served is not None):
            raise ValueError("'served' is needed for model 'served', and only there")
        return self


class PlannerConfig(Record):
    """The meta planner.

    Attributes:
        base: ``scratch`` for a new small model, else a directory or a Hugging Face name.
        scratch: Size of the new model.
        profile: ``paper`` (Figures 7-9 without the conversation) or ``compact``.
        dialect: Words and tags of plans.
        max_tokens: Longest plan.
        max_batch: Most plans that are drawn at once.
    """

    base: str = "scratch"
    scratch: ScratchSettings = ScratchSettings()
    profile: PromptProfile = PromptProfile.PAPER
    dialect: Dialect = Dialect.META_PLAN
    max_tokens: int = Field(default=512, ge=1)
    max_batch: int = Field(default=64, ge=1)


class PromptedConfig(Record):
    """The LLM that writes plans untrained: the paper's "GPT" row, method ``prompted``.

    It gets the paper's planner prompt, whatever the trained planner's profile is.

    Attributes:
        served: Which, and where it is served.
        max_tokens: Longest plan.
    """

    served: ServedSettings
    max_tokens: int = Field(default=512, ge=1)


class ExploreConfig(Record):
    """Monte Carlo sampling (sections 3.2 and 4.1).

    Attributes:
        tasks: How many of the training tasks; null explores all.
        plans_per_task: M.
        episodes_per_plan: N.
        allocation: ``uniform``, the paper's: N episodes with each plan; or ``adaptive``: where they
            decide which plan is best and which is worst.
        budget: Most episodes of adaptive exploration over all tasks, as a share of M x N a task.
        temperature: Of planner and agent.
        agent_temperature: Of the agent, where it is to be another. At 0, as in evaluation, a reward
            tells of the plan alone: one episode with a plan is enough, and there is time for more
            tasks.
        step_limit: Most steps of an exploring episode, where the benchmark allows more. A tight one
            tells plans apart that all lead to the goal in the end, and saves time.
        ties: Of plans that share the highest or the lowest score, ``one`` is taken, for at most one
            pair a task (equation 7); or ``all`` are: with greedy agents, where a plan either leads
            to the goal or does not, most plans share a score, and ``all`` makes more of what was
            explored. Of RFT's best plans likewise.
        merged: Whether, for each task, a plan is played too that is merged from its M: it knows
            what any of them knows. Where it is among the best, the worst are held against it.
        pairs: A JSONL file of one's own preference pairs in place of exploration's.
    """

    tasks: int | None = Field(default=None, ge=1)
    plans_per_task: int = Field(default=5, ge=1)
    episodes_per_plan: int = Field(default=5, ge=1)
    allocation: Literal["uniform", "adaptive"] = "uniform"
    budget: float = Field(default=0.6, gt=0.0)
    temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    agent_temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    step_limit: int | None = Field(default=None, ge=1)
    ties: Ties = "one"
    merged: bool = False
    pairs: str | None = None

    @property
    def temperature_of_agent(self) -> float:
        """Its own, or that of both."""
        return self.temperature if self.agent_temperature is None else self.agent_temperature


class EvaluateConfig(Record):
    """What is compared (section 4).

    Attributes:
        methods: Arms of the comparison.
        episodes_per_task: 1 in the paper, at temperature 0.
        temperature: Of the agent; plans are always greedy.
    """

    methods: tuple[Method, ...] = Field(default=("none", "sft", "rft", "mpo"), min_length=1)
    episodes_per_task: int = Field(default=1, ge=1)
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)

    @field_validator("methods")
    @classmethod
    def _each_once(cls, methods: tuple[Method, ...]) -> tuple[Method, ...]:
        if len(set(methods)) < len(methods):
            raise ValueError("a method is named twice")
        return methods


class RuntimeConfig(Record):
    """How the run is carried out; none of it shapes a number.

    Attributes:
        workers: Environment workers; null is one a core of this machine, or of Ray's cluster.
        executor: Where they run: ``local`` (processes of this machine) or ``ray``.
        ray: Of the latter: which cluster, and what a worker asks of it.
        concurrency: Most episodes in flight; how many requests an endpoint is given is found out.
        timeout_s: Longest time of one environment operation.
        grace_s: What episodes in flight get to finish when the run is interrupted.
        retry: What happens to void episodes.
        accelerate: A configuration of ``accelerate launch`` for trainings on several devices: a
            built-in name, or a file; null trains in this process.
    """

    workers: int | None = Field(default=None, ge=1)
    executor: Literal["local", "ray"] = "local"
    ray: RaySettings = RaySettings()
    concurrency: int = Field(default=128, ge=1)
    timeout_s: float = Field(default=120.0, gt=0.0)
    grace_s: float = Field(default=30.0, ge=0.0)
    retry: RetryPolicy = RetryPolicy()
    accelerate: str | None = None


class RunConfig(Record):
    """A whole experiment on one benchmark: MPO, or the tuning of an agent.

    Attributes:
        name: For tables and pages.
        description: A sentence for whoever lists recipes.
        benchmark: A registered benchmark.
        seed: Of everything that is drawn.
        prompted: Who writes the plans of method ``prompted``.
        tuning: How an agent is trained (``metaplan tune``), in place of a planner.
    """

    name: str
    description: str = ""
    benchmark: str
    seed: int = Field(default=0, ge=0)
    tasks: TasksConfig
    agent: AgentConfig = AgentConfig()
    planner: PlannerConfig = PlannerConfig()
    collect: CollectConfig = CollectConfig()
    sft: SftSettings = SftSettings()
    explore: ExploreConfig = ExploreConfig()
    rft: SftSettings = SftSettings()
    dpo: DpoSettings = DpoSettings()
    prompted: PromptedConfig | None = None
    tuning: AgentTuningConfig | None = None
    evaluate: EvaluateConfig = EvaluateConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    @model_validator(mode="after")
    def _prompted_goes_with_its_method(self) -> RunConfig:
        if "prompted" in self.evaluate.methods and self.prompted is None:
            raise ValueError("method 'prompted' needs the field 'prompted': which LLM writes plans")
        return self

    @model_validator(mode="after")
    def _tuning_stands_alone(self) -> RunConfig:
        if (self.agent.model == "tuned") != (self.tuning is not None):
            raise ValueError("agent.model is 'tuned' where there is 'tuning', and only there")
        if self.tuning is None:
            return self
        if self.evaluate.methods != ("none",):
            raise ValueError(
                "a run that tunes an agent trains no planner: set evaluate.methods to [none]; "
                "compare plans in a run whose agent.path is the tuned agent"
            )
        if self.agent.placement is Placement.THOUGHT:
            raise ValueError(
                "an agent can't be tuned with placement 'thought', where the plan is part of its "
                "replies; tune it with 'instruction' or 'observation' and play it with any"
            )
        return self

    @property
    def trains_planner(self) -> bool:
        """Whether a method needs more than prompting."""
        return not _TRAINED.isdisjoint(self.evaluate.methods)

    @property
    def learner(self) -> tuple[Literal["planner", "tuning"], str] | None:
        """What is trained: the field of the recipe, and the model that it starts from; or None."""
        if self.tuning is not None:
            return "tuning", self.tuning.base
        return ("planner", self.planner.base) if self.trains_planner else None


def changed_fields(old: RunConfig, new: RunConfig) -> list[str]:
    """Shaping fields in which two configurations differ, and extendable ones that shrank.

    Returns:
        Lines such as ``agent.placement: instruction → thought``, for the message of a refusal.
    """
    before = dict(_leaves(old.model_dump(mode="json")))
    after = dict(_leaves(new.model_dump(mode="json")))
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old_value, new_value = before.get(name), after.get(name)
        if old_value == new_value or _matches(name, OPERATIONAL):
            continue
        if _matches(name, EXTENDABLE) and _grew(old_value, new_value):
            continue
        if name not in before and _matches(name, ADDABLE):
            continue
        lines.append(f"{name}: {old_value!r} → {new_value!r}")
    return lines


def _grew(old: Any, new: Any) -> bool:
    """Whether a count became larger; null is "all"."""
    return new is None or (old is not None and new > old)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def set_fields(data: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Puts ``a.b.c`` = value settings into nested dictionaries; returns a new one.

    Raises:
        ConfigError: A name leads through something that is no mapping.
    """
    result = dict(data)
    for name, value in settings.items():
        here = result
        *path, last = name.split(".")
        for part in path:
            inner = here.get(part, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"--set {name}: '{part}' is a value, not a group of fields")
            here[part] = dict(inner)
            here = here[part]
        here[last] = value
    return result
