"""What the follower reads in a conversation: task, room, plan, and what happened so far."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from metaplan.core import MetaPlan, PlanParseError
from metaplan.models.contract import Message

__all__ = ["Conversation", "Goal", "read_conversation", "read_goal"]

Treatment = Literal["clean", "heat", "cool"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A task sentence of ALFWorld, understood.

    Attributes:
        object: Kind of the thing to handle, e.g. ``mug``.
        target: Kind of the receptacle it goes to; empty for a task of looking.
        treatment: What has to be done to the object first.
        count: How many objects have to be placed.
        lamp: Kind of the lamp to look under; empty for a task of placing.
    """

    object: str
    target: str = ""
    treatment: Treatment | None = None
    count: int = 1
    lamp: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that the follower knows: nothing but text that was said.

    Attributes:
        task: The task sentence, after "Your task is to:".
        goal: The sentence understood; None where it is of no known form.
        places: Receptacles in the order of the room listing, e.g. ``("cabinet 2", "bed 1")``.
        plan: The plan found in the prompt, or None.
        turns: Own action (empty after a format error) and what was then observed.
        opening: The beginning of an answer that has to be continued; empty otherwise.
    """

    task: str
    goal: Goal | None
    places: tuple[str, ...]
    plan: MetaPlan | None
    turns: tuple[tuple[str, str], ...]
    opening: str


_TASK = "Your task is to:"
_ROOM = "You are in the middle of a room"
_PLACE = re.compile(r"\ban? ([a-z]+ \d+)")
_PLAN = re.compile(r"Step 1:.*(?:\n+Step \d+:.*)*")
_ACTION = re.compile(r"^\s*Action:[ \t]*(.*)$", re.MULTILINE)

_TREATED = {"clean": "clean", "hot": "heat", "heat": "heat", "cool": "cool", "cold": "cool"}
_LOOK = re.compile(r"(?:examine|look at) (?:the |an? )?(\w+) (?:with|under) (?:the |an? )?(\w+)")
_TWO = re.compile(r"(?:put|find) two (\w+)(?: and put them)? (?:in/on|in|on) (?:the |an? )?(\w+)")
_TREAT = re.compile(r"(clean|heat|cool) some (\w+) and put it (?:in/on|in|on) (?:the |an? )?(\w+)")
_PUT = re.compile(
    r"put (?:an?|some|the) (?:(clean|hot|cool|cold) )?(\w+) (?:in/on|in|on) (?:the |an? )?(\w+)"
)


def read_goal(sentence: str) -> Goal | None:
    """Understands a task sentence of the six ALFWorld task types; None where it is another."""
    text = sentence.lower()
    if found := _LOOK.search(text):
        return Goal(object=found[1], lamp=found[2])
    if found := _TWO.search(text):
        return Goal(object=found[1], target=found[2], count=2)
    if found := _TREAT.search(text):
        return Goal(object=found[2], target=found[3], treatment=_treatment(found[1]))
    if found := _PUT.search(text):
        return Goal(object=found[2], target=found[3], treatment=_treatment(found[1]))
    return None


def _treatment(word: str | None) -> Treatment | None:
    return _TREATED[word] if word else None  # type: ignore[return-value]


def read_conversation(messages: Sequence[Message]) -> Conversation:
    """Reads a conversation from its last task on; what stands before it is an example.

    The plan is the last one to be found: after the task, in an observation, or at the beginning of
    the answer that has to be continued.
    """
    first = max((i for i, message in enumerate(messages) if _TASK in message["content"]), default=0)
    opening = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
    later = messages[first + 1 : len(messages) - 1 if opening else len(messages)]
    task_text, sentence, rest = _task_parts(messages[first]["content"])
    latest = opening or (later[-1]["content"] if later else "")
    return Conversation(
        task=sentence,
        goal=read_goal(sentence),
        places=_places(task_text),
        plan=_find_plan(latest) or _find_plan(rest),
        turns=_turns(later),
        opening=opening,
    )


@lru_cache(maxsize=1024)
def _task_parts(content: str) -> tuple[str, str, str]:
    """The room listing, the task sentence, and what follows it."""
    room, _, tail = content.rpartition(_TASK)
    sentence, _, rest = tail.lstrip().partition("\n")
    return room[max(room.rfind(_ROOM), 0) :], sentence.strip(), rest


@lru_cache(maxsize=1024)
def _places(room: str) -> tuple[str, ...]:
    return tuple(_PLACE.findall(room))


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
