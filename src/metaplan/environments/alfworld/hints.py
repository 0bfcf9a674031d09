"""Where a plan says that things are: what a person who is shown one takes from it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import takewhile

from metaplan.core import MetaPlan

__all__ = ["Hint", "read_hints"]

_WORD = re.compile(r"[a-z]+")
_FINDS = {"take", "pick", "grab", "get", "use", "toggle", "turn"}
_AFTER_THE_THING = {"from", "to", "with"}
_ENDS_A_WALK = {"put", "place", "move", "clean", "heat", "cool"}


@dataclass(frozen=True, slots=True)
class Hint:
    """The kinds of place that a plan sends to before it speaks of taking, or using, a thing.

    Attributes:
        words: Of the step that speaks of it, in lower case, up to whence it is taken or what for.
        places: Kinds of place, in the plan's order, each once.
    """

    words: frozenset[str]
    places: tuple[str, ...]


def read_hints(plan: MetaPlan, place_types: Collection[str]) -> tuple[Hint, ...]:
    """Goes through a plan's steps, gathering places until something is found at them.

    Args:
        plan: Of whatever origin: plans of the planner, of an LLM, of a person.
        place_types: The kinds of place that there are, in lower case: ``shelf``, ``drawer``.

    Returns:
        In the plan's order; a thing that is found twice has two hints.
    """
    return tuple(_read(plan, place_types))


def _read(plan: MetaPlan, place_types: Collection[str]) -> Iterator[Hint]:
    walk: dict[str, None] = {}
    for step in plan.steps:
        words = _WORD.findall(step.lower())
        walk |= dict.fromkeys(_singular(word, place_types) for word in words)
        if _FINDS.intersection(words):
            places = tuple(place for place in walk if place in place_types)
            said = takewhile(lambda word: word not in _AFTER_THE_THING, words)
            yield Hint(frozenset(said), places)
            walk = {}
        elif _ENDS_A_WALK.intersection(words):
            walk = {}


def _singular(word: str, place_types: Collection[str]) -> str:
    """``drawers`` is ``drawer`` where there are such; other words stay."""
    return next((word[: -len(end)] for end in ("s", "es") if _is(word, end, place_types)), word)


def _is(word: str, end: str, place_types: Collection[str]) -> bool:
    return word.endswith(end) and word[: -len(end)] in place_types
