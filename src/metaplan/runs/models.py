"""The models that a run's configuration names."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from metaplan.core import ConfigError
from metaplan.models import ChatModel, LocalModel, PlanFollower, ServedModel
from metaplan.planners import Planner, PlannerPrompt
from metaplan.recipes.config import AgentConfig, PromptedConfig

if TYPE_CHECKING:
    from metaplan.runs.run import Run

__all__ = [
    "agent_directory",
    "agent_name",
    "built_in_agents",
    "open_agent_model",
    "open_planner",
]


def open_agent_model(settings: AgentConfig, tuned: Path | None = None) -> ChatModel:
    """The model that acts.

    Args:
        settings: Which one.
        tuned: Directory of the one that the run has trained, where it trains one.

    Raises:
        UserError: A served model's key is missing, or a local model's files are; or the agent has
            not been tuned yet.
    """
    if settings.served is not None:
        return ServedModel(settings.served)
    if settings.path is not None:
        tuned = agent_directory(settings.path)
    if tuned is not None:
        return LocalModel(tuned, max_batch=settings.max_batch, name=agent_name(tuned), engines=None)
    if settings.model == "tuned":
        raise ConfigError("agent.model is 'tuned', and no agent has been tuned yet")
    return PlanFollower(settings.follower)


def built_in_agents() -> list[str]:
    """Names of the agents that come with the package."""
    return sorted(path.parent.name for path in _weights().glob("*/config.json"))


def agent_directory(path: str) -> Path:
    """The directory of a built-in agent, or the one that is named.

    Raises:
        ConfigError: There is no such directory.
    """
    built_in = _weights() / path
    directory = built_in if path in built_in_agents() else Path(path)
    if not directory.is_dir():
        names = ", ".join(built_in_agents()) or "none"
        raise ConfigError(
            f"agent.path: there is no {path}. It is a model's directory, such as RUN/agents/sft, "
            f"or the name of a built-in agent ({names})"
        )
    return directory


def _weights() -> Path:
    return Path(str(resources.files("metaplan.models"))) / "weights"


def agent_name(directory: Path) -> str:
    """For tables: an agent of a run is known by the run's name, too."""
    directory = directory.resolve()
    if directory.parent.name != "agents":
        return directory.name
    return f"{directory.parent.parent.name}/{directory.name}"


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
