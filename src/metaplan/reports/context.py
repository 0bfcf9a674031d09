"""What a report shows beside the results; everything but the title may be absent."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from metaplan.core import Episode, PlanScore, PreferencePair, Record

__all__ = ["ExampleEpisode", "ExamplePlans", "ReportContext", "RunFacts"]


class RunFacts(Record):
    """What was run, where, and for how long.

    Attributes:
        date: When the run ended, as it should be printed.
        machine: In words: cores, memory, accelerators.
        stage_seconds: Stage to wall-clock seconds, in the order of the pipeline.
        versions: What shapes a number: packages, model names, grammar, data checksum.
        episodes: Stage to the number of finished episodes that count.
        void: Cause to the number of void episodes.
    """

    recipe: str = ""
    date: str = ""
    machine: str = ""
    stage_seconds: Mapping[str, float] = Field(default_factory=dict)
    versions: Mapping[str, str] = Field(default_factory=dict)
    episodes: Mapping[str, int] = Field(default_factory=dict)
    void: Mapping[str, int] = Field(default_factory=dict)


class ExamplePlans(Record):
    """The plans that different methods wrote for one task.

    Attributes:
        instruction: What the planners read.
        plans: Method to the plan's text.
    """

    task_key: str
    instruction: str
    plans: Mapping[str, str]


class ExampleEpisode(Record):
    """An episode worth reading. Episodes of one task are shown side by side.

    Attributes:
        title: Why it is shown, in a few words.
        method: Whose plan the agent had.
        instruction: The task as the agent read it.
        plan: The plan's text; None without a plan.
    """

    title: str
    method: str
    instruction: str
    plan: str | None
    episode: Episode


class ReportContext(Record):
    """All that a report shows beside the results.

    Attributes:
        config_yaml: The resolved configuration.
        curves: Stage (``sft``, ``rft``, ``mpo``) to the trainer's log entries; each has ``step``
            and numbers named as TRL names them (``loss``, ``rewards/margins``, ...).
        plan_scores: Of the exploration.
        pairs: What the planner was optimized on.
        notes: Limits of the experiment that a reader must know.
    """

    title: str
    facts: RunFacts = RunFacts()
    config_yaml: str = ""
    curves: Mapping[str, tuple[Mapping[str, float], ...]] = Field(default_factory=dict)
    plan_scores: tuple[PlanScore, ...] = ()
    pairs: tuple[PreferencePair, ...] = ()
    example_plans: tuple[ExamplePlans, ...] = ()
    example_episodes: tuple[ExampleEpisode, ...] = ()
    notes: tuple[str, ...] = ()
