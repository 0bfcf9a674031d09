"""Writes a task as a genuine ALFWorld game: PDDL problem, domain, grammar, walkthrough.

Domain, grammar and goals are those of the installed ``alfworld`` wheel. Identifiers look like
ALFRED's (``Mug_bar__minus_00_dot_24_…``), since ALFWorld makes the names that the agent reads
from them: "mug 1", "sinkbasin 1".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from random import Random
from typing import Any

from metaplan.core import MissingDependencyError
from metaplan.environments.alfworld.catalogue import AFFORDANCES, LAMP, OPENABLE, read_world
from metaplan.environments.household.houses import House
from metaplan.environments.household.scenarios import Goal, Scenario

__all__ = ["write_game"]

_INDENT = "\n        "
# The domain's actions name these types, so every problem must declare them.
_DOMAIN_RECEPTACLES = frozenset({"SinkBasin", "Microwave", "Fridge"})
_DOMAIN_OBJECTS = frozenset({"Knife", "ButterKnife"})
_SIZE_M = 4.0


def write_game(scenario: Scenario, seed: int) -> dict[str, Any]:
    """The content of a ``game.tw-pddl`` file.

    Args:
        scenario: House and goal.
        seed: Decides coordinates, and by them the numbers in names.

    Returns:
        ``pddl_domain``, ``grammar``, ``pddl_problem``, ``solvable`` and a solving ``walkthrough``.

    Raises:
        MissingDependencyError: ``alfworld`` is not installed.
    """
    try:
        from alfworld.gen.goal_library import gdict
    except ModuleNotFoundError as error:
        raise MissingDependencyError("alfworld", "alfworld") from error
    goal = scenario.goal
    template = gdict[goal.task_type]
    slots = {"obj": goal.object_type, "recep": goal.place_type, "toggle": goal.place_type}
    sentence = template["templates"][goal.wording].format(**slots).lower()
    # The library writes "#" for "-" and closes the problem's own parenthesis.
    goal_pddl = template["pddl"].format(**slots).replace("#", "-")
    ids = _draw_ids(scenario.house, Random(seed))  # noqa: S311 (games, not secrets)
    data = files("alfworld") / "data"
    return {
        "pddl_domain": (data / "alfred.pddl").read_text("utf-8"),
        "grammar": (data / "alfred.twl2").read_text("utf-8").replace("UNKNOWN GOAL", sentence),
        "pddl_problem": _write_problem(scenario.house, goal, ids, goal_pddl),
        "solvable": True,
        "walkthrough": list(_walkthrough(scenario, ids)),
    }


@dataclass(frozen=True, slots=True)
class _Ids:
    """PDDL identifiers, in the order of a house's furniture and things."""

    furniture: Sequence[str]
    things: Sequence[str]
    locations: Sequence[str]
    start: str


def _draw_ids(house: House, rng: Random) -> _Ids:
    taken: set[str] = set()

    def unique(prefix: str, suffix: str = "") -> str:
        while True:
            x, z = (round(rng.uniform(-_SIZE_M, _SIZE_M), 2) for _ in range(2))
            made = prefix + "".join(map(_coordinate, (x, rng.choice(_HEIGHTS_M), z))) + suffix
            if made not in taken:
                taken.add(made)
                return made

    def location() -> str:
        while True:
            x, z = (rng.randint(-16, 16) for _ in range(2))
            angles = rng.randrange(4), rng.choice((0, 15, 30, 45, 60))
            made = "loc" + "".join(f"_bar_{_signed(number)}" for number in (x, z, *angles))
            if made not in taken:
                taken.add(made)
                return made

    furniture = []
    for type_ in house.furniture:
        base = type_.removesuffix("Basin")  # "Sink_bar_…_bar_SinkBasin" is named "sinkbasin 1".
        furniture.append(unique(base, "" if base == type_ else f"_bar_{type_}"))
    things = [unique(thing.type) for thing in house.things]
    return _Ids(furniture, things, [location() for _ in furniture], location())


_HEIGHTS_M = (0.05, 0.37, 0.68, 0.9, 1.23, 1.78)


def _coordinate(value: float) -> str:
    whole, cents = f"{abs(value):05.2f}".split(".")
    return f"_bar__{'minus' if value < 0 else 'plus'}_{whole}_dot_{cents}"


def _signed(number: int) -> str:
    return f"_minus_{-number}" if number < 0 else str(number)


def _write_problem(house: House, goal: Goal, ids: _Ids, goal_pddl: str) -> str:
    declared = {
        "otype": {thing.type for thing in house.things} | _DOMAIN_OBJECTS,
        "rtype": set(house.furniture) | _DOMAIN_RECEPTACLES,
    }
    objects = [
        "agent1 - agent",
        *(f"{t}Type - {kind}" for kind, types in declared.items() for t in sorted(types)),
        *(f"{id_} - object" for id_ in ids.things),
        *(f"{id_} - receptacle" for id_ in ids.furniture),
        *(f"{id_} - location" for id_ in (*ids.locations, ids.start)),
    ]
    facts = [f"({fact})" for fact in _facts(house, ids)]
    return (
        f"\n(define (problem household_{goal.task_type})\n(:domain alfred)"
        f"\n(:objects{_INDENT}{_INDENT.join(objects)}\n)"
        f"\n(:init{_INDENT}{_INDENT.join(facts)}\n)\n{goal_pddl}"
    )


def _facts(house: House, ids: _Ids) -> Iterator[str]:
    """What holds at the start. Every receptacle that opens is closed."""
    yield f"atLocation agent1 {ids.start}"
    for type_, id_, location in zip(house.furniture, ids.furniture, ids.locations, strict=True):
        yield f"receptacleType {id_} {type_}Type"
        yield f"receptacleAtLocation {id_} {location}"
        if type_ in OPENABLE:
            yield f"openable {id_}"
    for thing, id_ in zip(house.things, ids.things, strict=True):
        yield f"objectType {id_} {thing.type}Type"
        yield f"inReceptacle {id_} {ids.furniture[thing.place]}"
        yield f"objectAtLocation {id_} {ids.locations[thing.place]}"
        if thing.type != LAMP:
            yield f"pickupable {id_}"
        for predicate, types in AFFORDANCES.items():
            if thing.type in types:
                yield f"{predicate} {id_}"
    object_types = {thing.type for thing in house.things}
    for place in sorted(set(house.furniture)):
        for object_type in sorted(read_world().holds[place] & object_types):
            yield f"canContain {place}Type {object_type}Type"


def _names(types: Sequence[str], ids: Sequence[str]) -> list[str]:
    """The names that ALFWorld makes of identifiers: numbered per type, last identifier first."""
    by_type: defaultdict[str, list[str]] = defaultdict(list)
    for type_, id_ in zip(types, ids, strict=True):
        by_type[type_].append(id_.lower())
    return [
        f"{type_.lower()} {sorted(by_type[type_], reverse=True).index(id_.lower()) + 1}"
        for type_, id_ in zip(types, ids, strict=True)
    ]


def _walkthrough(scenario: Scenario, ids: _Ids) -> Iterator[str]:
    """Actions that solve the task, by one who knows where everything is."""
    house, goal = scenario.house, scenario.goal
    furniture = _names(house.furniture, ids.furniture)
    things = _names([thing.type for thing in house.things], ids.things)

    here, opened = -1, set[int]()

    def visit(index: int, *, inside: bool = True) -> Iterator[str]:
        nonlocal here
        if index != here:
            yield f"go to {furniture[index]}"
            here = index
        if inside and house.furniture[index] in OPENABLE and index not in opened:
            yield f"open {furniture[index]}"
            opened.add(index)

    targets = [i for i, thing in enumerate(house.things) if thing.type == goal.object_type]
    for target in targets[: goal.count]:
        yield from visit(house.things[target].place)
        yield f"take {things[target]} from {furniture[here]}"
        if goal.place_type == LAMP:
            lamp = next(i for i, thing in enumerate(house.things) if thing.type == LAMP)
            yield from visit(house.things[lamp].place)
            yield f"use {things[lamp]}"
            return
        if goal.treatment:
            yield from visit(house.furniture.index(goal.treatment.station), inside=False)
            yield f"{goal.treatment.verb} {things[target]} with {furniture[here]}"
        yield from visit(house.furniture.index(goal.place_type))
        yield f"move {things[target]} to {furniture[here]}"
