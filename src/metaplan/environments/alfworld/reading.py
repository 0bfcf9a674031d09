"""Reads what ALFWorld's games say: the task sentence, the room listing, what lies where.

Works on text alone, of both grammars; nothing of the game's hidden state is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Sight", "Wish", "read_names", "read_sight", "read_wish", "type_of"]

Verb = Literal["clean", "heat", "cool"]

_NAME = re.compile(r"\ban? ([a-z]+ \d+)")
_TASK = re.compile(r"your task is to: (.+?)\.?\s*$", re.IGNORECASE | re.MULTILINE)
_SIGHT = re.compile(
    r"(?:On the (?P<on>[a-z]+ \d+)|The (?P<in>[a-z]+ \d+) is open\. In it)"
    r", you see (?P<things>.*?)\."
)
_CLOSED = re.compile(r"The ([a-z]+ \d+) is closed\.")

# ALFRED's sentences (alfworld/gen/goal_library.py), in the order in which they must be tried.
_SENTENCES = tuple(
    re.compile(pattern)
    for pattern in (
        r"look at (?P<object>\w+) under the (?P<lamp>\w+)",
        r"examine the (?P<object>\w+) with the (?P<lamp>\w+)",
        r"(?:put|find) (?P<two>two) (?P<object>\w+) (?:and put them )?in (?P<place>\w+)",
        r"put a (?P<state>clean|hot|cool) (?P<object>\w+) in (?P<place>\w+)",
        r"(?P<state>clean|heat|cool) some (?P<object>\w+) and put it in (?P<place>\w+)",
        r"put (?:a|some) (?P<object>\w+) (?:in|on) (?P<place>\w+)",
    )
)
_VERBS: dict[str, Verb] = {"clean": "clean", "hot": "heat", "heat": "heat", "cool": "cool"}


@dataclass(frozen=True, slots=True)
class Wish:
    """A task sentence, understood. Types are in lower case, as in the text.

    Attributes:
        object_type: What to bring, or to look at.
        place_type: Where to put it; None when it is to be looked at.
        lamp_type: Under which lamp to look at it, if so.
        verb: What to do with it first, if anything.
        count: How many of them.
    """

    object_type: str
    place_type: str | None = None
    lamp_type: str | None = None
    verb: Verb | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Sight:
    """What an observation shows of one receptacle.

    Attributes:
        place: Its name, e.g. ``cabinet 2``.
        things: Names of the objects in or on it; None where it is closed.
    """

    place: str
    things: tuple[str, ...] | None


def type_of(name: str) -> str:
    """The type in a name: ``cabinet`` of ``cabinet 2``."""
    return name.partition(" ")[0]


def read_names(text: str) -> tuple[str, ...]:
    """The things that a listing names (``a cabinet 2, and an apple 1``), in its order."""
    return tuple(_NAME.findall(text))


def read_wish(text: str) -> Wish | None:
    """Understands the task sentence in a text; None where there is none that ALFRED uses."""
    task = _TASK.search(text)
    if task is None:
        return None
    for sentence in _SENTENCES:
        if match := sentence.fullmatch(task[1]):
            found = match.groupdict()
            return Wish(
                object_type=found["object"],
                place_type=found.get("place"),
                lamp_type=found.get("lamp"),
                verb=_VERBS[found["state"]] if "state" in found else None,
                count=2 if "two" in found else 1,
            )
    return None


def read_sight(text: str) -> Sight | None:
    """What an observation shows of a receptacle; None where it shows none."""
    if seen := _SIGHT.search(text):
        return Sight(seen["on"] or seen["in"], read_names(seen["things"]))
    if closed := _CLOSED.search(text):
        return Sight(closed[1], None)
    return None
