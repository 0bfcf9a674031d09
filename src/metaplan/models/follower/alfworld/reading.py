"""What the follower reads in an ALFWorld task: the goal and the room."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from metaplan.models.follower.reading import Conversation

__all__ = ["Goal", "Scene", "read_goal", "read_scene"]

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
class Scene:
    """A task and its room.

    Attributes:
        task: The task sentence, after "Your task is to:".
        goal: The sentence understood; None where it is of no known form.
        places: Receptacles in the order of the room listing, e.g. ``("cabinet 2", "bed 1")``.
    """

    task: str
    goal: Goal | None
    places: tuple[str, ...]


_ROOM = "You are in the middle of a room"
_PLACE = re.compile(r"\ban? ([a-z]+ \d+)")

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


def read_scene(conversation: Conversation) -> Scene:
    """Reads the task sentence and the room listing before it."""
    sentence = conversation.task.removeprefix(":").lstrip().partition("\n")[0].strip()
    return Scene(task=sentence, goal=read_goal(sentence), places=_places(conversation.before))


@lru_cache(maxsize=1024)
def _places(text: str) -> tuple[str, ...]:
    return tuple(_PLACE.findall(text[max(text.rfind(_ROOM), 0) :]))
