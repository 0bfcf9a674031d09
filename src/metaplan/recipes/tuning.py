"""How an agent is trained: the part of a recipe that `metaplan tune` carries out."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from metaplan.core import Record
from metaplan.training import DpoSettings, ScratchSettings, SftSettings

__all__ = ["AgentTuningConfig", "PlanShares"]


class PlanShares(Record):
    """Which plans an agent is shown while it learns; shares of all conversations, relative.

    Attributes:
        none: No plan.
        own: The seed plan of this task, which fits.
        other: The seed plan of another training task that looks for the same, which may name places
            that are wrong here, and another goal. Whoever demonstrates is shown either plan as
            well, looks first where it says, and goes on alone; where the benchmark has no such
            people, `own` is the summary of the very trajectory, in hindsight.
    """

    none: float = Field(default=1.0, ge=0.0)
    own: float = Field(default=1.0, ge=0.0)
    other: float = Field(default=1.0, ge=0.0)

    @model_validator(mode="after")
    def _something_is_shared(self) -> PlanShares:
        if self.none + self.own + self.other == 0.0:
            raise ValueError("at least one of 'none', 'own' and 'other' must be above 0")
        return self


class AgentTuningConfig(Record):
    """Training the agent: SFT on experts' trajectories, then DPO against its own failures.

    The first is AgentTuning (Zeng et al., 2023), the second ETO (Song et al., 2024): the "agents
    with training" of Table 2. Prompts are those of `AgentConfig`: the agent is trained on what it
    reads in use.

    Attributes:
        base: ``scratch`` for a new small model, else a directory or a Hugging Face name.
        scratch: Size of the new model.
        plans: Which plans the agent is shown while it learns.
        people: How many experts demonstrate each training task; they differ in where they look.
        people_of: How many instead, by type of task: where there is more to learn.
        sft: Of the trajectories.
        eto: DPO on pairs of an expert's trajectory and an episode of the agent that earned less;
            null trains by SFT alone.
        eto_tasks: How many of the training tasks the agent plays for that, at
            `explore.temperature`; null plays all.
    """

    base: str = "scratch"
    scratch: ScratchSettings = ScratchSettings()
    plans: PlanShares = PlanShares()
    people: int = Field(default=1, ge=1)
    people_of: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    sft: SftSettings = SftSettings()
    eto: DpoSettings | None = None
    eto_tasks: int | None = Field(default=None, ge=1)

    def people_for(self, task_type: str) -> int:
        """How many experts demonstrate each task of a type."""
        return self.people_of.get(task_type, self.people)
