"""Plays the beginning of one task, in a process of its own: it may hang or crash.

Usage: ``main()`` with a benchmark's name and task sets in ``sys.argv``; prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any

from metaplan.core import MissingDependencyError, Task, UserError
from metaplan.environments import Benchmark, get_benchmark

__all__ = ["main"]


def main() -> None:
    """Says how it went."""
    _, name, *task_sets = sys.argv
    try:
        said = _trial(get_benchmark(name), task_sets)
    except UserError as error:
        said = {"lacks": str(error)}
    print(json.dumps(said))


def _trial(benchmark: Benchmark, task_sets: Sequence[str]) -> dict[str, Any]:
    """Counts the tasks of the wanted sets, and plays one step.

    Raises:
        UserError: A package, Java or data is missing.
    """
    tasks = {name: benchmark.tasks(name) for name in task_sets} or _any_set(benchmark)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        begin_s, step_s = _play(benchmark, next(iter(tasks.values()))[0])
    return {
        "counts": {
            name: (len(found), benchmark.sizes[name].tasks if name in benchmark.sizes else 0)
            for name, found in tasks.items()
        },
        "begin_s": begin_s,
        "step_s": step_s,
        "warnings": [
            str(one.message) for one in caught if one.category in {UserWarning, RuntimeWarning}
        ],
        "extra": benchmark.needs[1] if benchmark.needs else benchmark.name,
    }


def _any_set(benchmark: Benchmark) -> dict[str, Sequence[Task]]:
    """The first task set whose data is here.

    Raises:
        UserError: There is none.
    """
    problems = []
    for name in benchmark.task_sets:
        try:
            return {name: benchmark.tasks(name)}
        except MissingDependencyError:
            raise
        except UserError as error:
            problems.append(error)
    raise problems[0]


def _play(benchmark: Benchmark, task: Task) -> tuple[float, float]:
    """Seconds to the first observation, and of one step."""
    started = time.monotonic()
    environment = benchmark.load(task).make()
    try:
        environment.reset()
        begun = time.monotonic()
        environment.step("look")
        return begun - started, time.monotonic() - begun
    finally:
        environment.close()
