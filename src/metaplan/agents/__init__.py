"""The agent: ReAct turn loop, action parsing, plan placement, prompt texts as data files."""

from metaplan.agents.conversation import (
    Demonstration,
    episode_turns,
    expert_turns,
    tuning_conversation,
)
from metaplan.agents.prompting import PromptProfile, find_action, first_message, insert_plan
from metaplan.agents.react import INVALID_TURNS_LIMIT, Agent, AsyncEnvironment, run_episode

__all__ = [
    "INVALID_TURNS_LIMIT",
    "Agent",
    "AsyncEnvironment",
    "Demonstration",
    "PromptProfile",
    "episode_turns",
    "expert_turns",
    "find_action",
    "first_message",
    "insert_plan",
    "run_episode",
    "tuning_conversation",
]
