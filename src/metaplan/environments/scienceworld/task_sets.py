"""Which ScienceWorld tasks there are: the package's own folds, and the lists of the paper.

A task is one of 30 kinds of experiments in one of its variations. The folds are known to the
simulator alone; it is asked once, and the answer is kept in the cache.

The lists are those that ETO published and MPO used (paper, Appendix A): 24 of the task types, with
at most 120, 10 and 10 variations of each, and a step limit for each type. They spell names as
ScienceWorld did in its first versions.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from metaplan.core import DataError, Task, digest
from metaplan.environments.data import DataSource, cache_directory
from metaplan.environments.scienceworld.simulator import installed_version
from metaplan.environments.scienceworld.simulators import read_variations

__all__ = [
    "LISTS",
    "OFFICIAL_STEP_LIMIT",
    "TASKS_IN_SET",
    "TASK_SETS",
    "current_name",
    "identify",
    "jar_checksum",
    "list_digest",
    "list_tasks",
    "step_limit",
    "write_once",
]

TASK_SETS = {
    "train": "3,592 tasks of 30 types to learn from (the package's own fold)",
    "dev": "1,796 other variations of the same types",
    "test": "1,819 other variations, with substances and things that training never shows",
    "train@paper": "1,483 tasks of 24 types: ETO's list, as the paper uses it",
    "dev@paper": "194 tasks: the paper's 'seen' set; 54 of them are in train@paper too",
    "test@paper": "211 tasks: the paper's 'unseen' set, for which its Table 1 says 241",
}

TASKS_IN_SET = {
    "train": 3592,
    "dev": 1796,
    "test": 1819,
    "train@paper": 1483,
    "dev@paper": 194,
    "test@paper": 211,
}
"""How many there are in scienceworld 1.2.3, and in ETO's lists."""

OFFICIAL_STEP_LIMIT = 100
"""The package's own default (``envStepLimit``)."""

_ETO = (
    "https://raw.githubusercontent.com/Yifan-Song793/ETO/"
    "a2fc5da38f8d00cfaf3f9b6370d586eebaf72904/eval_agent/data/sciworld"
)


def _list(name: str, holds: str, size_bytes: int, sha256: str) -> DataSource:
    return DataSource(
        name=f"splits/sciworld/{name}",
        holds=holds,
        url=f"{_ETO}/{name}",
        size_bytes=size_bytes,
        sha256=sha256,
    )


# The checksums were taken from a copy of the files at that commit.
LISTS = {
    "train": _list(
        "train_indices.json",
        "the paper's training tasks",
        96_759,
        "c79eea7858383b829269986ee83d0d9a504533e7b4b3a5bc76e5bdc1e6999cd0",
    ),
    "dev": _list(
        "dev_indices.json",
        "the paper's 'seen' tasks",
        13_419,
        "78084ef4393d2da87b21507451821e431daa1a70ab1a486fd1a964ab2404d741",
    ),
    "test": _list(
        "test_indices.json",
        "the paper's 'unseen' tasks",
        14_541,
        "dfe4ab263824f04a49cf977b8f6d65af516ce13b8cfbef5736a97ed993da7152",
    ),
    "max_steps": _list(
        "max_steps.json",
        "the paper's step limits per task type",
        984,
        "035592f47fbe1309b6ed1a260b392a50d94d3163de951508a74e985d93048f73",
    ),
}
"""ETO's files; each fold's list has entries ``[old task name, variation]``."""

_OLD_PREFIX = re.compile(r"^task-\d+[ab]?-")


def current_name(name: str) -> str:
    """The name that ScienceWorld 1.2 gives to a task type of its first versions.

    Names of today stay as they are.
    """
    plain = _OLD_PREFIX.sub("", name).replace("(", "").replace(")", "")
    return plain.replace("mendellian", "mendelian")


def list_tasks(task_set: str) -> tuple[Task, ...]:
    """The tasks of a task set, sorted by key, without instructions.

    Raises:
        DataError: There is no such task set, or its list is missing or malformed.
        UserError: The simulator has to be asked, and there is no Java.
    """
    if task_set not in TASK_SETS:
        raise DataError(
            f"ScienceWorld has no task set {task_set!r}; there are: {', '.join(TASK_SETS)}"
        )
    fold, _, paper = task_set.partition("@")
    pairs = _listed(fold) if paper else _official(fold)
    tasks = [
        Task(
            key=f"scienceworld/{name}/{variation}",
            benchmark="scienceworld",
            task_set=task_set,
            task_type=name,
            source={"task": name, "variation": str(variation)},
        )
        for name, variation in pairs
    ]
    return tuple(sorted(tasks, key=lambda task: task.key))


def identify(task: Task) -> tuple[str, int]:
    """Task name and variation.

    Raises:
        DataError: The simulator has no such task or variation.
    """
    match task.source:
        case {"task": str(name), "variation": str(number)} if number.isdecimal():
            variation = int(number)
        case _:
            raise DataError(f"not a ScienceWorld task: {task.key} with source {dict(task.source)}")
    counts = _variation_counts()
    if name not in counts:
        raise DataError(
            f"{task.key}: ScienceWorld has no task {name!r}; there are: {', '.join(counts)}"
        )
    if variation >= counts[name]:
        raise DataError(
            f"{task.key}: {name} has the variations 0 to {counts[name] - 1}, and no {variation}"
        )
    return name, variation


def step_limit(task: Task) -> int:
    """Most replies of the agent: the package's default, or ETO's for the type in the paper's sets.

    Raises:
        DataError: ETO's file is missing, or has nothing for the task's type.
    """
    if not task.task_set.endswith("@paper"):
        return OFFICIAL_STEP_LIMIT
    limits = _paper_limits(LISTS["max_steps"].path)
    if task.task_type not in limits:
        raise DataError(f"{LISTS['max_steps'].path} has no step limit for {task.task_type!r}")
    return limits[task.task_type]


def list_digest(fold: str) -> str:
    """Identifies the list file of a paper's fold, whatever its formatting.

    Raises:
        DataError: The file is missing or malformed.
    """
    return digest(sorted(map(list, _listed(fold))))


@cache
def jar_checksum() -> str:
    """The SHA-256 of the simulator's jar, in hexadecimal digits.

    Raises:
        MissingDependencyError: The package is not installed.
    """
    installed_version()
    from scienceworld.constants import JAR_PATH

    with Path(JAR_PATH).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_once(path: Path, value: Any) -> None:
    """Writes JSON into the cache so that other processes see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file)
    Path(partial).replace(path)


def _official(fold: str) -> list[tuple[str, int]]:
    return [(name, variation) for name, folds in _variations().items() for variation in folds[fold]]


@cache
def _variation_counts() -> dict[str, int]:
    return {name: sum(map(len, folds.values())) for name, folds in _variations().items()}


@cache
def _variations() -> Mapping[str, Mapping[str, Sequence[int]]]:
    """Task name to fold to variations: from the cache, or from the simulator (seconds)."""
    key = digest(installed_version(), jar_checksum())
    path = cache_directory() / "scienceworld" / f"variations-{key}.json"
    try:
        found: dict[str, dict[str, list[int]]] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # not there, or damaged
        found = read_variations()
        write_once(path, found)
    return found


def _listed(fold: str) -> list[tuple[str, int]]:
    """Current task name and variation of each entry in ETO's list."""
    path = LISTS[fold].path
    entries = _read(path)
    try:
        return [(current_name(name), int(variation)) for name, variation in entries]
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} is malformed ({error}): its entries must be [task name, variation]"
        ) from error


@cache
def _paper_limits(path: Path) -> Mapping[str, int]:
    limits = _read(path)
    try:
        return {current_name(name): int(limit) for name, limit in limits.items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} is malformed ({error}): it must map task names to steps"
        ) from error


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{path} is missing: the paper's task sets need ETO's list files. Run "
            "'metaplan data fetch scienceworld', or use the task set without '@paper'"
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read: {error}") from error
