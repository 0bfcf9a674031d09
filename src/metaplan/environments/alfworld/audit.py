"""Checks the ALFWorld games on this machine: complete, readable, of one grammar."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from metaplan.core import DataError
from metaplan.environments.alfworld.game import Grammar, grammar_of
from metaplan.environments.alfworld.games import (
    GAMES_IN_SPLIT,
    find_split,
    game_path,
    list_tasks,
    read_game,
)
from metaplan.environments.data import DataReport

__all__ = ["audit"]

_PROBLEMS_SHOWN = 5
_PAPER_COUNTS = (
    "the paper's Table 1 counts 3,321 training games of ALFWorld; no list of them is known, so all "
    "3,553 are used"
)


def audit() -> Iterator[DataReport]:
    """One report for every split in every grammar; reads every game (seconds, and an unpacking).

    Each is yielded when it is done, so that progress can be shown.
    """
    grammars: tuple[Grammar, Grammar] = ("move", "put")
    for grammar in grammars:
        for split in GAMES_IN_SPLIT:
            yield _report(split, grammar)


def _report(split: str, grammar: Grammar) -> DataReport:
    task_set = f"{split}@{grammar}"
    expected = GAMES_IN_SPLIT[split]
    try:
        directory = find_split(split, grammar)
    except DataError as error:
        return DataReport("alfworld", task_set, None, 0, expected, (str(error),))
    if directory is None:
        return DataReport("alfworld", task_set, None, 0, expected)
    paths = [game_path(task) for task in list_tasks(task_set)]
    problems = [problem for path in paths if (problem := _problem(path, grammar))]
    if len(paths) != expected:
        problems.insert(0, f"{directory} has {len(paths)} games instead of {expected}")
    more = len(problems) - _PROBLEMS_SHOWN
    shown = problems[:_PROBLEMS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
    notes = (_PAPER_COUNTS,) if split == "train" else ()
    return DataReport("alfworld", task_set, directory, len(paths), expected, tuple(shown), notes)


def _problem(path: Path, grammar: Grammar) -> str | None:
    try:
        game = read_game(path)
    except DataError as error:
        return str(error)
    missing = {"pddl_domain", "pddl_problem", "grammar"} - game.keys()
    if missing:
        return f"{path} lacks {', '.join(sorted(missing))}"
    if grammar_of(game) != grammar:
        return f"{path} has the other grammar"
    return None
