"""Draws houses: two rooms in one with their furniture, and objects where they usually lie.

In one of ALFWorld's rooms there is little to plan: searched in any order, most of them show what is
wanted within an episode's 30 steps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from metaplan.environments.alfworld.catalogue import LAMP, ObjectPrior, Room

__all__ = ["House", "Thing", "draw_furniture", "draw_things", "places_in"]

_MOST_OF_A_TYPE = 3  # As in ALFRED, gen/constants.py: MAX_NUM_OF_OBJ_INSTANCES.
# Enough to have to search; not so many that the listing fills a small model's context, or that
# stock TextWorld, whose translation grows with their square, takes long to load.
_FEWEST_PIECES, _MOST_PIECES = 24, 38


@dataclass(frozen=True, slots=True)
class Thing:
    """An object in a house.

    Attributes:
        type: Its type, e.g. ``Mug``.
        place: Index of the receptacle that it lies in or on.
    """

    type: str
    place: int


@dataclass(frozen=True, slots=True)
class House:
    """A flat, furnished and stocked.

    Attributes:
        rooms: Their kinds, in alphabetical order.
        furniture: The type of each receptacle.
        things: The objects in or on them.
    """

    rooms: tuple[str, ...]
    furniture: tuple[str, ...]
    things: tuple[Thing, ...]


def draw_furniture(rng: Random, room: Room) -> tuple[str, ...]:
    """The types of the receptacles of a room, or of several merged, each as often as it stands."""
    while True:
        drawn: list[str] = []
        for type_, furniture in room.furniture.items():
            if rng.random() < furniture.chance:
                drawn += [type_] * rng.randint(furniture.least, furniture.most)
        if _FEWEST_PIECES <= len(drawn) <= _MOST_PIECES:
            return tuple(drawn)


def places_in(furniture: Collection[str], prior: ObjectPrior) -> Mapping[str, int]:
    """Where an object may lie in a house: the prior's places that stand there, with weights."""
    return {type_: share for type_, share in prior.places.items() if type_ in furniture}


def draw_things(
    rng: Random,
    room: Room,
    furniture: Sequence[str],
    *,
    wanted: Mapping[str, int],
    avoid: Mapping[str, str],
    clutter: int,
) -> tuple[Thing, ...]:
    """Puts objects into a house: first the type of place by the prior, then one of that type.

    Args:
        rng: The source of chance.
        room: All rooms merged, which holds the priors.
        furniture: The type of each receptacle.
        wanted: Object types to the exact number of such objects.
        avoid: Object types to the type of place where none of them may lie.
        clutter: How many objects of other types to add, fewer where the house has no place.

    Returns:
        The objects, wanted ones first.
    """
    counts = dict(wanted)
    others = {
        type_: prior.mean_count
        for type_, prior in room.objects.items()
        if type_ not in wanted and type_ != LAMP and places_in(furniture, prior)
    }
    for _ in range(clutter):
        open_types = [type_ for type_ in others if counts.get(type_, 0) < _MOST_OF_A_TYPE]
        if not open_types:
            break
        (type_,) = rng.choices(open_types, [others[type_] for type_ in open_types])
        counts[type_] = counts.get(type_, 0) + 1

    things = []
    for type_, count in counts.items():
        places = dict(places_in(furniture, room.objects[type_]))
        places.pop(avoid.get(type_, ""), None)
        for place_type in rng.choices(list(places), list(places.values()), k=count):
            place = rng.choice([i for i, piece in enumerate(furniture) if piece == place_type])
            things.append(Thing(type_, place))
    return tuple(things)
