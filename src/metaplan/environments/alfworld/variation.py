"""A room with some of its places left out and the others numbered anew: more rooms to learn from.

ALFWorld's training games play in 108 rooms, each of them in dozens of games. A small model that
learns from these alone knows the rooms by heart: in a kitchen that it has never seen it goes to a
tenth cabinet where there are six. Nobody can add places to a game, but places can be kept from who
plays it: they are missing in what the game says, and other pieces of their kind close the gap
(``cabinet 5`` is now ``cabinet 3``). What lies in the others stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random

from metaplan.environments.alfworld.reading import read_names, type_of
from metaplan.environments.contract import Environment, Observation, StepResult

__all__ = ["VariedRoom"]

_NO_KIND = 0.2  # The chance that a kind of place is missing.
_NOT_ALL = 0.5  # The chance that of several pieces of a kind some are missing.

_LISTING = re.compile(r"you see (an? .+?)\.")
_NAME = re.compile(r"\b[a-z]+ \d+\b")
_NOWHERE = "nothing"


class VariedRoom:
    """A game's room without some of its places; an `Environment` for who goes by its listing.

    The places that the task sentence names stay, and the stations that it needs may not, nor the
    place where its object lies: then the task can't be solved here. Going to a place that is left
    out does nothing.
    """

    def __init__(self, environment: Environment, chance: Random) -> None:
        """Varies a room.

        Args:
            environment: Of the game; closed with this one.
            chance: Draws the places.
        """
        self._environment = environment
        self._chance = chance
        self._told: Mapping[str, str] = {}  # What the places that stay are called now.
        self._meant: Mapping[str, str] = {}  # The reverse, and nothing for all other places.

    def reset(self) -> Observation:
        """Starts the game, and draws which of the places that it tells of stay."""
        observation = self._environment.reset()
        listing = _LISTING.search(observation.text)
        if listing is None:
            return observation
        places = read_names(listing[1])
        before, after = observation.text[: listing.start(1)], observation.text[listing.end(1) :]
        self._told = dict(_renumbered(_kept(places, after, self._chance)))
        self._meant = dict.fromkeys(places, _NOWHERE) | {
            told: name for name, told in self._told.items()
        }
        told = _listing([self._told[place] for place in places if place in self._told])
        return replace(observation, text=f"{before}{told}{after}")

    def step(self, action: str) -> StepResult:
        """Does one action, in the names told."""
        result = self._environment.step(_respelled(action, self._meant))
        return replace(result, observation=_respelled(result.observation, self._told))

    def close(self) -> None:
        """Closes the game."""
        self._environment.close()


def _kept(places: Sequence[str], sentence: str, chance: Random) -> list[str]:
    """Which of a room's places stay; at least one, and one of each kind that a sentence names."""
    kept: list[str] = []
    for kind in sorted({type_of(place) for place in places}):
        pieces = [place for place in places if type_of(place) == kind]
        is_missing, are_not_all = chance.random() < _NO_KIND, chance.random() < _NOT_ALL
        if is_missing and kind not in sentence:
            continue
        some = chance.randint(1, len(pieces)) if are_not_all else len(pieces)
        kept.extend(chance.sample(pieces, some))
    return kept or [places[0]]


def _renumbered(kept: Collection[str]) -> Iterator[tuple[str, str]]:
    """The places that stay and what they are called now: from 1 on, in the order of before."""
    counts: dict[str, int] = {}
    for place in sorted(kept, key=lambda place: int(place.split()[1])):
        kind = type_of(place)
        counts[kind] = counts.get(kind, 0) + 1
        yield place, f"{kind} {counts[kind]}"


def _listing(places: Sequence[str]) -> str:
    """As ALFWorld lists things."""
    *others, last = [f"a {place}" for place in places]
    return f"{', '.join(others)}, and {last}" if others else last


def _respelled(text: str, names: Mapping[str, str]) -> str:
    return _NAME.sub(lambda found: names.get(found[0], found[0]), text)
