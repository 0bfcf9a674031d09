"""Where seed plans come from: the part of a recipe that the stage ``collect`` carries out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from metaplan.core import Record
from metaplan.models.served import ServedSettings

__all__ = ["CollectConfig", "SummariserConfig"]


class SummariserConfig(Record):
    """The LLM that summarises trajectories into seed plans (section 3.1, Appendix C).

    Attributes:
        served: Which, and where it is served.
        temperature: Of the first summary.
        again_at: Temperatures of further ones, where a plan is too specific or names actions that
            the environment lacks.
        max_tokens: Longest summary.
    """

    served: ServedSettings
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    again_at: tuple[Annotated[float, Field(ge=0.0, le=2.0)], ...] = (0.3, 0.7, 1.0)
    max_tokens: int = Field(default=1024, ge=1)


class CollectConfig(Record):
    """Where seed plans come from (section 3.1).

    Attributes:
        seed_plans: A JSONL file of one's own; null summarises expert trajectories.
        trajectories: A JSONL file of one's own; null asks the benchmark's expert.
        expert: ``recorded``, the benchmark's own, which may know the game; or ``exploring``, who
            reads as an agent does and looks in usual places first (benchmarks with people who
            demonstrate).
        summariser: The LLM that summarises; null takes the benchmark's rule.
        other_goals: Share of the seed plans that are told with another goal in task and plan, drawn
            at random, for small planners: else they learn the usual goals by heart and plan for
            these (ALFWorld, household).
        varied_rooms: Share of the tasks that are solved in rooms of which some places are left out,
            drawn at random, for small planners and agents: else they learn the training rooms by
            heart. Wants the exploring expert (ALFWorld, household).
    """

    seed_plans: str | None = None
    trajectories: str | None = None
    expert: Literal["recorded", "exploring"] = "recorded"
    summariser: SummariserConfig | None = None
    other_goals: float = Field(default=0.0, ge=0.0, le=1.0)
    varied_rooms: float = Field(default=0.0, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _rooms_are_varied_for_explorers(self) -> CollectConfig:
        if self.varied_rooms and (self.expert != "exploring" or self.trajectories is not None):
            raise ValueError("'varied_rooms' wants expert 'exploring', and no 'trajectories'")
        return self
