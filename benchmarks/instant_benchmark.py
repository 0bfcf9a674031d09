"""A benchmark whose environments cost next to nothing, with ALFWorld's prompts: for `engine.py`.

Worker processes find it by an entry point, like any third party's.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from metaplan.core import Task
from metaplan.environments import Observation, StepResult
from metaplan.environments.alfworld import BENCHMARK as ALFWORLD

_TASKS = 1000
_TYPES = ("pick_and_place_simple", "pick_heat_then_place_in_recep", "look_at_obj_in_light")
_ROOM = (
    "You are in the middle of a room. Looking quickly around you, you see a cabinet 4, a cabinet "
    "3, a cabinet 2, a cabinet 1, a coffeemachine 1, a countertop 2, a countertop 1, a drawer 2, "
    "a drawer 1, a fridge 1, a garbagecan 1, a microwave 1, a sinkbasin 1, a stoveburner 2, a "
    "stoveburner 1, a toaster 1.\n\nYour task is to: put a hot mug number {number} in cabinet."
)
_SEEN = "On the countertop 1, you see a bread 1, a dishsponge 2, a fork 1, a knife 1 and a mug 2."


class _Instant:
    def __init__(self, task: Task) -> None:
        self._text = _ROOM.format(number=task.key.rpartition("/")[2])

    def reset(self) -> Observation:
        return Observation(text=self._text)

    def step(self, _: str) -> StepResult:
        return StepResult(_SEEN, 0.0, terminated=False, truncated=False, success=False)

    def close(self) -> None:
        """Holds nothing."""


class _Loaded:
    def __init__(self, task: Task) -> None:
        self._task = task

    def make(self) -> _Instant:
        return _Instant(self._task)


def _tasks(task_set: str) -> list[Task]:
    return [
        Task(
            key=f"instant/{task_set}/{number:04}",
            benchmark="instant",
            task_set=task_set,
            task_type=_TYPES[number % len(_TYPES)],
        )
        for number in range(_TASKS)
    ]


BENCHMARK = replace(
    ALFWORLD,
    name="instant",
    description="Says the same at once.",
    task_sets={"all": f"{_TASKS} tasks"},
    tasks=_tasks,
    load=_Loaded,
    expert=None,
    summarise=None,
    fingerprint=lambda _: {"version": "1"},
    data=None,
    sizes={},
)


@contextmanager
def installed() -> Iterator[None]:
    """Lets this process and its workers find the benchmark."""
    with tempfile.TemporaryDirectory() as directory:
        info = Path(directory) / "instant-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: instant\nVersion: 1\n")
        entry = "[metaplan.benchmarks]\ninstant = instant_benchmark:BENCHMARK\n"
        (info / "entry_points.txt").write_text(entry)
        paths = [directory, str(Path(__file__).parent)]
        sys.path[:0] = paths
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        yield
