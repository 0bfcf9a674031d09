"""Draws tasks: a house and a goal in it, from nothing but a task set and an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from metaplan.core import seed_from
from metaplan.environments.alfworld.catalogue import (
    AFFORDANCES,
    LAMP,
    Room,
    merged_rooms,
    read_world,
)
from metaplan.environments.household.houses import (
    House,
    draw_furniture,
    draw_things,
    places_in,
)
from metaplan.environments.household.splits import GENERATOR_VERSION, is_goal_of, is_layout_of

__all__ = ["TASK_TYPES", "Goal", "Scenario", "draw_scenario", "task_seed", "task_type_of"]

TASK_TYPES = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)

_LOOK, _TWO, _SIMPLE = "look_at_obj_in_light", "pick_two_obj_and_place", "pick_and_place_simple"


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to an object before it is brought to its goal.

    Attributes:
        verb: As in the action, e.g. ``heat``.
        affordance: What the object must be, e.g. ``heatable``.
        station: The type of receptacle that does it.
    """

    verb: str
    affordance: str
    station: str


_TREATMENTS = {
    "pick_clean_then_place_in_recep": Treatment("clean", "cleanable", "SinkBasin"),
    "pick_heat_then_place_in_recep": Treatment("heat", "heatable", "Microwave"),
    "pick_cool_then_place_in_recep": Treatment("cool", "coolable", "Fridge"),
}

# As in ALFRED, gen/constants.py: GOALS_VALID.
_ROOMS = {
    _SIMPLE: ("kitchen", "living room", "bedroom", "bathroom"),
    _TWO: ("kitchen", "living room", "bedroom", "bathroom"),
    _LOOK: ("living room", "bedroom"),
    "pick_clean_then_place_in_recep": ("kitchen", "bathroom"),
    "pick_heat_then_place_in_recep": ("kitchen",),
    "pick_cool_then_place_in_recep": ("kitchen",),
}

_COUNTS = {_TWO: ((2, 3), (2, 1))}
_USUAL_COUNTS = ((1, 2), (3, 1))
_CLUTTER = (12, 24)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be done.

    Attributes:
        task_type: One of `TASK_TYPES`.
        object_type: What to bring, or to look at.
        place_type: Where to; the lamp in ``look_at_obj_in_light``.
        wording: Which of ALFRED's two sentences says it: 0 or 1.
    """

    task_type: str
    object_type: str
    place_type: str
    wording: int

    @property
    def count(self) -> int:
        """How many objects the goal needs."""
        return 2 if self.task_type == _TWO else 1

    @property
    def treatment(self) -> Treatment | None:
        """What is done to the object first, if anything."""
        return _TREATMENTS.get(self.task_type)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A house and what is to be done in it."""

    house: House
    goal: Goal


def task_type_of(index: int) -> str:
    """The task type of an index; any six in a row cover all types."""
    return TASK_TYPES[index % len(TASK_TYPES)]


def task_seed(task_set: str, index: int) -> int:
    """The seed from which a whole task is drawn."""
    return seed_from("household", GENERATOR_VERSION, task_set, index)


def draw_scenario(task_set: str, index: int) -> Scenario:
    """Draws a task; solvable, and not solved at the start, by construction.

    Args:
        task_set: One of `splits.TASK_SETS`; decides which layouts and goals may be drawn.
        index: 0 or more.

    Returns:
        The same scenario on every machine.
    """
    rng = Random(task_seed(task_set, index))  # noqa: S311 (games, not secrets)
    task_type = task_type_of(index)
    first = rng.choice(_ROOMS[task_type])
    second = rng.choice([name for name in read_world().rooms if name != first])
    rooms = tuple(sorted((first, second)))
    flat = merged_rooms(rooms)
    while True:
        furniture = draw_furniture(rng, flat)
        if not is_layout_of(task_set, rooms, furniture):
            continue
        goals = _possible_goals(task_set, task_type, flat, furniture)
        if goals:
            break
    # First the object, then its place: else objects that fit everywhere would be most goals.
    object_type = rng.choice(sorted({object_type for object_type, _ in goals}))
    place_type = rng.choice([place for object_type_, place in goals if object_type_ == object_type])
    goal = Goal(task_type, object_type, place_type, wording=rng.randrange(2))
    return Scenario(_stock(rng, rooms, furniture, goal), goal)


def _possible_goals(
    task_set: str, task_type: str, room: Room, furniture: Sequence[str]
) -> list[tuple[str, str]]:
    """The (object type, place type) pairs that the task set allows and this house affords."""
    if task_type == _LOOK and not places_in(furniture, room.objects[LAMP]):
        return []
    goals = []
    for object_type, prior in room.objects.items():
        found_in = set(places_in(furniture, prior))
        if found_in and _affords(task_type, object_type):
            places = _goal_places(task_type, object_type, furniture, found_in)
            goals += [(object_type, place) for place in sorted(places)]
    return [goal for goal in goals if is_goal_of(task_set, *goal)]


def _goal_places(
    task_type: str, object_type: str, furniture: Sequence[str], found_in: set[str]
) -> set[str]:
    """Where the object may be brought in this house."""
    if task_type == _LOOK:
        return {LAMP}
    holds = read_world().holds
    places = {place for place in set(furniture) if object_type in holds[place]}
    if task_type in _TREATMENTS:  # ALFRED never asks to leave it where it was treated.
        return places - {_TREATMENTS[task_type].station}
    return {place for place in places if found_in - {place}}  # It must lie elsewhere at first.


def _affords(task_type: str, object_type: str) -> bool:
    if task_type in _TREATMENTS:
        return object_type in AFFORDANCES[_TREATMENTS[task_type].affordance]
    return object_type != LAMP


def _stock(rng: Random, rooms: tuple[str, ...], furniture: tuple[str, ...], goal: Goal) -> House:
    """Puts the goal's objects and others into the house."""
    numbers, weights = _COUNTS.get(goal.task_type, _USUAL_COUNTS)
    wanted = {goal.object_type: rng.choices(numbers, weights)[0]}
    if goal.task_type == _LOOK:
        wanted[LAMP] = 1
    avoid = {} if goal.treatment else {goal.object_type: goal.place_type}
    clutter = rng.randint(*_CLUTTER)
    things = draw_things(
        rng, merged_rooms(rooms), furniture, wanted=wanted, avoid=avoid, clutter=clutter
    )
    return House(rooms, furniture, things)
