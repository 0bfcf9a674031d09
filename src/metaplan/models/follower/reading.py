"""What the follower reads in any conversation: task, plan, and what happened so far."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from metaplan.core import MetaPlan, PlanParseError
from metaplan.models.contract import Message

__all__ = ["Conversation", "read_conversation"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that the follower knows: nothing but text that was said.

    Attributes:
        world: Which benchmark's words the task is told in.
        before: What the first message says before "Your task is to".
        task: What it says from there on, without these words.
        plan: The plan found in the prompt, or None.
        turns: Own action (empty after a format error) and what was then observed.
        opening: The beginning of an answer that has to be continued; empty otherwise.
    """

    world: Literal["alfworld", "scienceworld", "webshop"]
    before: str
    task: str
    plan: MetaPlan | None
    turns: tuple[tuple[str, str], ...]
    opening: str


_TASK = "Your task is to"
_SHOP = "WebShop [SEP] Instruction: [SEP]"
_PLAN = re.compile(r"Step 1:.*(?:\n+Step \d+:.*)*")
_ACTION = re.compile(r"^\s*Action:[ \t]*(.*)$", re.MULTILINE)


def read_conversation(messages: Sequence[Message]) -> Conversation:
    """Reads a conversation from its last task on; what stands before it is an example.

    The plan is the last one to be found: after the task, in an observation, or at the beginning of
    the answer that has to be continued.
    """
    # The shop's search page is seen again, so that there the first one counts.
    shopping = [i for i, message in enumerate(messages) if _SHOP in message["content"]]
    tasks = [i for i, message in enumerate(messages) if _TASK in message["content"]]
    first = shopping[0] if shopping else max(tasks, default=0)
    opening = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
    later = messages[first + 1 : len(messages) - 1 if opening else len(messages)]
    mark = _SHOP if shopping else _TASK
    before, _, task = messages[first]["content"].rpartition(mark)
    latest = opening or (later[-1]["content"] if later else "")
    return Conversation(
        world="webshop" if shopping else _world(task),
        before=before,
        task=task,
        plan=_find_plan(latest) or _find_plan(task),
        turns=_turns(later),
        opening=opening,
    )


def _world(task: str) -> Literal["alfworld", "scienceworld"]:
    """ALFWorld writes a colon after "Your task is to", ScienceWorld does not."""
    return "scienceworld" if task.startswith(" ") else "alfworld"


@lru_cache(maxsize=1024)
def _find_plan(text: str) -> MetaPlan | None:
    found = _PLAN.search(text)
    if found is None:
        return None
    try:
        return MetaPlan.parse(found[0])
    except PlanParseError:
        return None


def _turns(messages: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    """Pairs each own reply with the message after it."""
    turns = []
    for reply, answer in zip(messages[::2], messages[1::2], strict=False):
        found = _ACTION.search(reply["content"])
        turns.append((found[1].strip() if found else "", answer["content"]))
    return tuple(turns)
