"""The models that a run's configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from metaplan.models import ChatModel, LocalModel, PlanFollower, ServedModel
from metaplan.planners import Planner, PlannerPrompt
from metaplan.recipes.config import AgentConfig, PromptedConfig

if TYPE_CHECKING:
    from metaplan.runs.run import Run

__all__ = ["open_agent_model", "open_planner"]


def open_agent_model(settings: AgentConfig) -> ChatModel:
    """The model that acts.

    Raises:
        UserError: A served model's key is missing, or a local model's files are.
    """
    if settings.served is not None:
        return ServedModel(settings.served)
    if settings.path is not None:
        return LocalModel(Path(settings.path), max_batch=settings.max_batch)
    return PlanFollower(settings.follower)


def open_planner(run: Run, planner: Path | PromptedConfig) -> Planner:
    """A trained planner, or an LLM that is prompted to plan.

    Raises:
        UserError: The LLM's key is missing, or the directory holds no planner.
    """
    if isinstance(planner, PromptedConfig):
        prompt = PlannerPrompt(
            template=run.benchmark.prompts.planner,
            dialect=run.config.planner.dialect,
            max_tokens=planner.max_tokens,
        )
        return Planner(ServedModel(planner.served), prompt)
    model = LocalModel(planner, max_batch=run.config.planner.max_batch)
    return Planner(model, PlannerPrompt.load(planner))
