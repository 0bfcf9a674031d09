"""Household: a seeded generator of genuine ALFWorld games, with an expert. No data to download.

Every task is a game file as ALFWorld's own: the PDDL domain, the grammar and the goals are those
of the installed ``alfworld`` wheel, and stock TextWorld plays it. A task is determined by the
generator's version, the task set and an index; there is no end to them.

**What the generator builds in.**

- Flats of two rooms in one (of kitchen, living room, bedroom, bathroom) with 24 to 38 receptacles,
  about 14 to 28 objects, ALFRED's six task types in equal parts, and ALFRED's two sentences for
  each. In one room alone a search in any order finds most things within 30 steps.
- Where objects lie: for each (room, object type) the shares of the receptacle types, as counted
  over ALFWorld's training games (``world.json``); of an object that both rooms know, the sum of
  theirs. Within a type, every piece is equally likely.
  The likeliest type of place is right about four times in ten, so that where to look can be
  learnt, and stays uncertain.
- Cabinets, drawers, fridges, microwaves and safes are closed at the start.
- One to two objects of the wanted type (two to three where two are wanted). Where something is
  only to be brought, none of them lies at the goal already.
- `unseen` holds out a quarter of all layouts (sets of furniture types) and a quarter of all goals
  (object type, place type); each of its tasks is a held-out goal in a held-out layout. Where
  objects lie follows the same shares in all task sets.

**What it does not.** No correlation between objects, or between places of one type; no objects
inside objects; nothing full, dirty or broken; no sliced objects; no doors between rooms; no
windows, mirrors or other things that can't be handled; real ALFWorld kitchens have more cabinets.
Nothing is fitted to a model or a result.
"""

from metaplan.environments.household.benchmark import (
    BENCHMARK,
    expert,
    fingerprint,
    load,
    task,
    tasks,
)

__all__ = ["BENCHMARK", "expert", "fingerprint", "load", "task", "tasks"]
