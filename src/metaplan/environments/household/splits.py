"""Which layouts and which goals only the `unseen` task set shows.

One rule in code, on names alone: a layout is the set of furniture types in a room, a goal is an
(object type, place type) pair. A hash of the names holds out about a quarter of either. `unseen`
shows held-out layouts with held-out goals; every other task set shows the rest only.
"""

from __future__ import annotations

from collections.abc import Iterable

from metaplan.core import seed_from

__all__ = ["DEFAULT_COUNTS", "GENERATOR_VERSION", "TASK_SETS", "is_goal_of", "is_layout_of"]

GENERATOR_VERSION = "1"
"""Counts up with every change that alters a generated game: old keys then name other tasks."""

TASK_SETS = {
    "train": "tasks to learn from",
    "validation": "new tasks in houses of the training kind, for model selection",
    "seen": "new tasks in houses of the training kind, for evaluation",
    "unseen": "room layouts and object-place goals that no other set shows, for evaluation",
}

DEFAULT_COUNTS = {"train": 2000, "validation": 200, "seen": 200, "unseen": 200}

_ONE_IN = 4


def _is_held_out(*names: str) -> bool:
    return seed_from("household", *names) % _ONE_IN == 0


def is_layout_of(task_set: str, room: str, furniture: Iterable[str]) -> bool:
    """Whether rooms with exactly these types of furniture may stand in the task set."""
    return _is_held_out("layout", room, *sorted(set(furniture))) == (task_set == "unseen")


def is_goal_of(task_set: str, object_type: str, place_type: str) -> bool:
    """Whether bringing this type of object to this type of place may be a goal in the task set."""
    return _is_held_out("goal", object_type, place_type) == (task_set == "unseen")
