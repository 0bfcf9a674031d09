"""What there is in a household: rooms, furniture, objects, and where objects usually lie.

The numbers are in ``world.json``, which says where each of them comes from.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib.resources import files
from itertools import chain

from pydantic import Field

from metaplan.core import Record

__all__ = [
    "AFFORDANCES",
    "LAMP",
    "OPENABLE",
    "Furniture",
    "ObjectPrior",
    "Room",
    "World",
    "merged_rooms",
    "read_world",
]

LAMP = "DeskLamp"

OPENABLE = frozenset({"Cabinet", "Drawer", "Fridge", "Microwave", "Safe"})

_FOOD = frozenset({"Apple", "Egg", "Potato", "Tomato"})
_CROCKERY = frozenset({"Cup", "Mug", "Plate"})
_POTS = frozenset({"Bowl", "Pan", "Pot"})
_CUTLERY = frozenset({"ButterKnife", "Fork", "Knife", "Ladle", "Spatula", "Spoon"})

AFFORDANCES = {
    "cleanable": _FOOD
    | _CROCKERY
    | _POTS
    | _CUTLERY
    | {"Cloth", "DishSponge", "Kettle", "Lettuce", "SoapBar"},
    "heatable": _FOOD | _CROCKERY | {"Bread"},
    "coolable": _FOOD | _CROCKERY | _POTS | {"Bread", "Lettuce", "WineBottle"},
    "sliceable": _FOOD | {"Bread", "Lettuce"},
    "toggleable": frozenset({LAMP}),
    "isReceptacleObject": _CROCKERY | _POTS | {"Box"},
}
"""Predicate of ``alfred.pddl`` to the object types for which ALFWorld's games state it."""


class Furniture(Record):
    """How many receptacles of one type a room of a kind holds.

    Attributes:
        chance: That there is any, in (0, 1].
        least: Fewest pieces, where there is any.
        most: Most pieces.
    """

    chance: float = Field(gt=0.0, le=1.0)
    least: int = Field(ge=1)
    most: int = Field(ge=1)


class ObjectPrior(Record):
    """How common an object type is in rooms of a kind, and where it lies.

    Attributes:
        mean_count: Objects of the type in one room, on average, in ALFWorld.
        places: Receptacle type to its share of these objects, in percent.
    """

    mean_count: float = Field(gt=0.0)
    places: dict[str, int]


class Room(Record):
    """A kind of room: its furniture and its objects, by type."""

    furniture: dict[str, Furniture]
    objects: dict[str, ObjectPrior]


class World(Record):
    """All kinds of rooms.

    Attributes:
        source: Where the numbers come from.
        holds: Receptacle type to the object types that may be put there (``canContain``).
        rooms: By kind: kitchen, living room, bedroom, bathroom.
    """

    source: tuple[str, ...]
    holds: dict[str, frozenset[str]]
    rooms: dict[str, Room]


@cache
def read_world() -> World:
    """The numbers in ``world.json``."""
    return World.model_validate_json(files(__package__).joinpath("world.json").read_text("utf-8"))


@cache
def merged_rooms(names: tuple[str, ...]) -> Room:
    """Several rooms as one: what stands in any of them, and the sum of what lies where."""
    rooms = [read_world().rooms[name] for name in names]
    furniture: dict[str, Furniture] = {}
    for type_, piece in chain.from_iterable(room.furniture.items() for room in rooms):
        known = furniture.get(type_, piece)
        furniture[type_] = max(known, piece, key=lambda one: (one.chance, one.most))
    objects: dict[str, ObjectPrior] = {}
    for type_, prior in chain.from_iterable(room.objects.items() for room in rooms):
        known_places = Counter(objects[type_].places if type_ in objects else {})
        count = objects[type_].mean_count if type_ in objects else 0.0
        objects[type_] = ObjectPrior(
            mean_count=count + prior.mean_count, places=dict(known_places + Counter(prior.places))
        )
    return Room(furniture=furniture, objects=objects)
