"""An expert's trajectory as the conversation that a summariser reads (Figures 7-9)."""

from __future__ import annotations

from metaplan.core import ExpertTrajectory

__all__ = ["conversation_text"]


def conversation_text(trajectory: ExpertTrajectory, longest_observation: int | None = None) -> str:
    """The turns in the form of the agent's own: ``Thought: … Action: …``, then ``Observation: …``.

    The task is not repeated: the prompt has shown it above. Steps without a thought begin with
    their action, as experts that are programs have none.

    Args:
        trajectory: Of an expert.
        longest_observation: Characters after which an observation is cut, for models that the
            whole conversation does not fit; actions and thoughts are never cut.

    Returns:
        One paragraph a step.
    """
    turns = []
    for step in trajectory.steps:
        thought = f"Thought: {step.thought}\n" if step.thought else ""
        observation = _shortened(step.observation, longest_observation)
        turns.append(f"{thought}Action: {step.action}\nObservation: {observation}")
    return "\n\n".join(turns)


def _shortened(text: str, longest: int | None) -> str:
    return text if longest is None or len(text) <= longest else f"{text[:longest]}…"
