"""Arms go in, results come out: the records of an evaluation and the schema of `results.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from metaplan.core import Episode, Placement, Record

__all__ = [
    "ALL",
    "SCHEMA",
    "Arm",
    "Coverage",
    "Difference",
    "ResultRow",
    "Results",
    "method_order",
    "method_pairs",
]

SCHEMA: Final = "metaplan-results/1"
ALL = "all"
"""`task_type` and `seed` of an aggregate."""

_KNOWN_METHODS = ("none", "sft", "prompted", "rft", "mpo")


def method_order(methods: Iterable[str]) -> list[str]:
    """Sorts methods: none, SFT, prompted, RFT, MPO, then others by name."""
    known = {method: place for place, method in enumerate(_KNOWN_METHODS)}
    return sorted(set(methods), key=lambda method: (known.get(method, len(known)), method))


def method_pairs(methods: Iterable[str]) -> list[tuple[str, str]]:
    """All pairs ``(a, b)`` with `a` after `b` in `method_order`: (mpo, none), (mpo, sft), ..."""
    ordered = method_order(methods)
    return [(a, b) for at, a in reversed(list(enumerate(ordered))) for b in ordered[:at]]


class Arm(Record):
    """One method on one task set: what was planned and what was played.

    Attributes:
        benchmark: Name of the registered benchmark.
        split: The task set, e.g. ``valid_unseen``.
        agent: Display name of the agent.
        planner: Display name of the planner, the same for all seeds of a method.
        method: ``none``, ``sft``, ``rft``, ``prompted``, ``mpo`` or a name of one's own.
        placement: Where the plan went; None without a plan.
        seed: Of the planner's training; ``all`` where it has no meaning.
        episodes: Finished and void ones, in any order.
        task_types: Key of every planned task to the task's type.
        planned: Number of planned episodes, so that missing ones show.
    """

    benchmark: str
    split: str
    agent: str
    planner: str
    method: str
    placement: Placement | None
    seed: str | int = ALL
    episodes: tuple[Episode, ...]
    task_types: Mapping[str, str]
    planned: int = Field(ge=0)

    @model_validator(mode="after")
    def _episodes_are_planned(self) -> Self:
        unknown = {episode.task_key for episode in self.episodes} - set(self.task_types)
        if unknown:
            raise ValueError(f"episodes of tasks that were not planned: {sorted(unknown)[:3]}")
        counted = [episode.key for episode in self.episodes if not episode.stop_reason.is_void]
        if len(set(counted)) != len(counted):
            raise ValueError("an episode that counts is given twice")
        return self


class ResultRow(Record):
    """One mean with its 95% interval over tasks.

    Attributes:
        task_type: ``all`` for the aggregate.
        seed: ``all`` for the mean over training seeds; the interval is over tasks, given the seeds.
        ci_low: Equal to `mean` and `ci_high` where the tasks show no spread (a single task, or
            all equal): the bootstrap then knows no uncertainty, which is not the same as none.
        n: Tasks in the mean.
    """

    benchmark: str
    split: str
    task_type: str
    agent: str
    planner: str
    method: str
    placement: Placement | None
    seed: str | int
    metric: str
    mean: float
    ci_low: float
    ci_high: float
    n: int = Field(ge=1)


class Difference(Record):
    """Method `a` minus method `b`, paired over the tasks that both have, with its 95% interval.

    Attributes:
        placement: Where the plans of both went; a method without plan is compared at each.
        ci_low: Equal to `difference` and `ci_high` where all tasks differ by the same.
        n: Tasks that both methods have.
    """

    benchmark: str
    split: str
    agent: str
    placement: Placement | None
    metric: str
    a: str
    b: str
    difference: float
    ci_low: float
    ci_high: float
    n: int = Field(ge=1)


class Coverage(Record):
    """What an arm's numbers rest on.

    Attributes:
        tasks_measured: Tasks with at least one episode that is not void.
        episodes_measured: Episodes that are not void.
        void: Number of void episodes per stop reason.
    """

    benchmark: str
    split: str
    agent: str
    planner: str
    method: str
    placement: Placement | None
    seed: str | int
    tasks_planned: int
    tasks_measured: int
    episodes_planned: int
    episodes_measured: int
    void: Mapping[str, int]

    @property
    def is_complete(self) -> bool:
        """Whether every planned episode was played and counts."""
        return (self.tasks_measured, self.episodes_measured) == (
            self.tasks_planned,
            self.episodes_planned,
        )


class Results(Record):
    """The machine-readable truth of a run: `results.json`.

    Attributes:
        schema_name: Written as ``schema``; names the format and its version.
        rows: Means, aggregated and per task type, per seed and over seeds.
        differences: Paired, over all task types and seeds.
        coverage: One entry per arm.
    """

    model_config = ConfigDict(
        serialize_by_alias=True, validate_by_name=True, validate_by_alias=True
    )

    schema_name: Literal["metaplan-results/1"] = Field(default=SCHEMA, alias="schema")
    rows: tuple[ResultRow, ...]
    differences: tuple[Difference, ...]
    coverage: tuple[Coverage, ...] = ()
