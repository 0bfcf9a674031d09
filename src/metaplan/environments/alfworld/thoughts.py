"""What people in a room say to themselves before each step: the wording alone.

A small model learns from these thoughts. So what is sought stands before what is seen of it, where
it can compare the two; and what it will have to remember is said, with the place, when it is seen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from metaplan.environments.alfworld.catalogue import OPENABLE
from metaplan.environments.alfworld.reading import Verb, Wish, type_of

__all__ = [
    "GOES_THERE",
    "NOT_THERE",
    "STATIONS",
    "WAS_THERE",
    "brings",
    "goes_back",
    "in_this_order",
    "intention",
    "looks",
    "on_in_this_order",
    "opens",
    "puts",
    "takes",
    "treats",
    "turns_on",
]

STATIONS: dict[Verb, str] = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge"}
"""Where a thing is treated, by the verb."""

# Why a kind of place that a plan names is passed over. Different reasons have different words: each
# is seen in another part of the conversation.
NOT_THERE, WAS_THERE, GOES_THERE = "there is none", "I was there", "it goes there"

_INSIDE = {type_.lower() for type_ in OPENABLE} | {
    *("sinkbasin", "bathtubbasin", "garbagecan", "laundryhamper")
}


def intention(wish: Wish) -> str:
    """What someone sets out to do."""
    what = _a(wish.object_type) if wish.count == 1 else f"two {wish.object_type}s"
    it = "it" if wish.count == 1 else "them one by one"
    if wish.lamp_type:
        return f"I need to find {what}, take it, and turn on the {wish.lamp_type}. "
    treat = f", {wish.verb} it with the {STATIONS[wish.verb]}," if wish.verb else ""
    return f"I need to find {what}{treat} and put {it} {_where(wish.place_type or '')}. "


def in_this_order(kinds: Sequence[str], hinted: Collection[str]) -> str:
    """What is said before a search: the kinds of place, those that the plan names apart."""
    said = ", ".join(kind for kind in kinds if kind in hinted)
    rest = ", ".join(kind for kind in kinds if kind not in hinted)
    if not said:
        return f"I look in this order: {rest}. "
    return f"The plan says: {said}. Then I look in this order: {rest}. "


def on_in_this_order(kinds: Sequence[str]) -> str:
    """What is said before a search for another thing of the same type: what is left."""
    return f"I go on in this order: {', '.join(kinds)}. "


def looks(object_type: str, place: str, passed: Sequence[tuple[str, str]], seen: str) -> str:
    """A step of a search.

    Args:
        object_type: What is sought.
        place: Where to look next.
        passed: The kinds of place that would have come before, each with why it is passed over:
            one of the `NOT_THERE`, `WAS_THERE`, `GOES_THERE`.
        seen: What is here that will be needed later, and where this is: ``desklamp 1 at desk 2``.
    """
    noted = f"Here is {seen}. " if seen else ""
    left_out = "".join(f"One may be {_where(type_)}, but {why}. " for type_, why in passed)
    looked_at = f"One may be {_where(type_of(place))}. I look at {place}."
    return f"{_need(object_type)}, and none is here. {noted}{left_out}{looked_at}"


def opens(place: str) -> str:
    """Before the inside is seen."""
    return f"The {type_of(place)} is closed. I open it."


def takes(thing: str, alike: Sequence[str], place: str) -> str:
    """Taking a thing where it is.

    Args:
        thing: Which one.
        alike: Others of its kind here, needed or not: to see is one thing, to need another.
        place: Where they are.
    """
    here = ", and ".join((thing, *alike)) + (f" at {place}" if alike else "")
    return f"{_need(type_of(thing))}, and here is {here}. I take it."


def goes_back(thing: str, place: str) -> str:
    """To what was seen: said as it was noted, so that one word calls up the next."""
    return f"{_need(type_of(thing))}, and I saw {thing} at {place}. I go back to {place}."


def brings(thing: str, place: str, verb: Verb | None = None) -> str:
    """To its goal, or to where it is treated."""
    purpose = f" to {verb} it" if verb else ""
    return f"I have the {type_of(thing)}. Now I go to the {type_of(place)}{purpose}."


def treats(thing: str, station: str, verb: Verb) -> str:
    """At a station."""
    return f"I am at the {type_of(station)}. I {verb} the {type_of(thing)} with it."


def puts(thing: str, goal: str) -> str:
    """At the goal."""
    return f"I am at the {type_of(goal)}. I put the {type_of(thing)} there."


def turns_on(lamp: str) -> str:
    """Beside a lamp."""
    return f"{_need(type_of(lamp))}, and here is {lamp}. I turn it on."


def _need(type_: str) -> str:
    return f"I need {_a(type_)}"


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _where(place_type: str) -> str:
    return f"{'in' if place_type in _INSIDE else 'on'} the {place_type}"
