"""Which layouts and which goals only the `unseen` task set shows.

One rule in code, on names alone: a layout is the set of furniture types in a flat, a goal is an
(object type, place type) pair. A hash of the names holds out a quarter of either. `unseen` shows
held-out goals in held-out layouts; every other task set shows the rest only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain

from metaplan.core import digest, seed_from
from metaplan.environments.alfworld.catalogue import LAMP, read_world

__all__ = [
    "DEFAULT_COUNTS",
    "GENERATOR_VERSION",
    "TASK_SETS",
    "held_out_goals",
    "is_goal_of",
    "is_layout_of",
]

GENERATOR_VERSION = "2"
"""Counts up with every change that alters a generated game: old keys then name other tasks."""

TASK_SETS = {
    "train": "tasks to learn from",
    "validation": "new tasks in houses of the training kind, for model selection",
    "seen": "new tasks in houses of the training kind, for evaluation",
    "unseen": "room layouts and object-place goals that no other set shows, for evaluation",
}

DEFAULT_COUNTS = {"train": 10000, "validation": 200, "seen": 200, "unseen": 200}

_ONE_IN = 4
# Of 60 salts, the one that comes closest to a quarter of the layouts in each kind of room, and
# that leaves `unseen` the most goals of each task type.
_SALT = "household-38"


@cache
def held_out_goals() -> frozenset[tuple[str, str]]:
    """The (object type, place type) pairs that are goals in `unseen` only.

    A quarter of the places that each object may be brought to, and a quarter of the objects that
    may be looked at under the lamp.
    """
    places: dict[str, list[str]] = {}
    for place, object_types in read_world().holds.items():
        for object_type in object_types:
            places.setdefault(object_type, []).append(place)
    pairs = [_quarter([(object_type, p) for p in places[object_type]]) for object_type in places]
    pairs.append(_quarter([(object_type, LAMP) for object_type in places]))
    return frozenset(chain.from_iterable(pairs))


def _quarter(pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """A quarter of the pairs, chosen by a hash of their names."""
    ranked = sorted(pairs, key=lambda pair: digest(_SALT, "goal", *pair))
    return ranked[: round(len(ranked) / _ONE_IN)]


def is_goal_of(task_set: str, object_type: str, place_type: str) -> bool:
    """Whether bringing this type of object to this type of place may be a goal in the task set."""
    return ((object_type, place_type) in held_out_goals()) == (task_set == "unseen")


def is_layout_of(task_set: str, rooms: Iterable[str], furniture: Iterable[str]) -> bool:
    """Whether flats of these rooms with exactly these types of furniture may be in the task set."""
    rank = seed_from(_SALT, "layout", *rooms, *sorted(set(furniture)))
    return (rank % _ONE_IN == 0) == (task_set == "unseen")
