"""Which ALFWorld games there are, and where: two grammars, three splits, several layouts.

Games are ``<split>/<task>/<trial>/game.tw-pddl`` below a directory ``json_*``, which is looked for
in the data directory (unpacked, or in one of the archives in `SOURCES`) and then where ALFWorld's
own ``alfworld-download`` puts it. What counts is the grammar inside the games, not the name of the
directory: the official download of today unpacks new games into ``json_2.1.1``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from metaplan.core import DataError, Task
from metaplan.environments.alfworld.game import Grammar, grammar_of
from metaplan.environments.data import DataSource, data_directory, unpacked

__all__ = [
    "GAMES_IN_SPLIT",
    "SOURCES",
    "TASK_SETS",
    "TASK_TYPES",
    "find_split",
    "game_path",
    "list_tasks",
    "read_game",
    "resolve",
]

TASK_TYPES = (
    "look_at_obj_in_light",
    "pick_and_place_simple",
    "pick_clean_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_two_obj_and_place",
)

GAMES_IN_SPLIT = {"train": 3553, "valid_seen": 140, "valid_unseen": 134}
"""The official, solvable games (paper, Table 1; it counts 3321 for training, list unknown)."""

_WORDS = {
    "train": "3,553 games to learn from",
    "valid_seen": "140 games in rooms known from training",
    "valid_unseen": "134 games in rooms that training never shows",
}

TASK_SETS = {
    **{split: f"{words}; newer grammar where present" for split, words in _WORDS.items()},
    **{f"{split}@put": f"{words}; 'put X in/on Y'" for split, words in _WORDS.items()},
    **{f"{split}@move": f"{words}; 'move X to Y'" for split, words in _WORDS.items()},
}

# Solvable, and in the older archive of training games, but in no official list.
_UNOFFICIAL = "pick_clean_then_place_in_recep-Cloth-None-BathtubBasin-413/"
_GAME_FILE = "game.tw-pddl"
_TAIL_BYTES = 1 << 14


@dataclass(frozen=True)
class Source:
    """An archive and what its games are.

    Attributes:
        archive: Where it lies.
        grammar: Of all its games.
        splits: In it.
    """

    archive: DataSource
    grammar: Grammar
    splits: tuple[str, ...]


_RELEASES = "https://github.com/alfworld/alfworld/releases/download"
_ALL = tuple(GAMES_IN_SPLIT)

SOURCES = (
    Source(
        DataSource(
            name="alfworld/json_2.1.3_tw-pddl.zip",
            holds="all games, newer grammar, with walkthroughs",
            url=f"{_RELEASES}/0.4.2/json_2.1.3_tw-pddl.zip",
            # ALFWorld publishes no checksums: as several public repositories record it.
            size_bytes=36_507_267,
            sha256="5df77ea759f2211a4106082839ddbbb790f1ba4e7d097ed732cf453f72aa36cf",
        ),
        "move",
        _ALL,
    ),
    Source(
        DataSource(
            name="alfworld/json_2.1.1_tw-pddl.zip",
            holds="all games, older grammar (the paper's)",
            # No checksum: ALFWorld has replaced this file before, under the same name.
            url=f"{_RELEASES}/0.2.2/json_2.1.1_tw-pddl.zip",
        ),
        "put",
        _ALL,
    ),
    Source(
        DataSource(
            name="alfworld/alfworld_v042.tar.xz",
            holds="all games, newer grammar, with walkthroughs",
        ),
        "move",
        _ALL,
    ),
    Source(
        DataSource(
            name="alfworld/alfworld_eval.tar.xz",
            holds="evaluation games, older grammar",
        ),
        "put",
        ("valid_seen", "valid_unseen"),
    ),
    Source(
        DataSource(
            name="alfworld/alfworld_train.tar.xz",
            holds="training games, older grammar, with recorded experts",
        ),
        "put",
        ("train",),
    ),
)


def resolve(task_set: str) -> tuple[str, Grammar]:
    """Split and grammar of a task set; without ``@``, the newer grammar where it is present.

    Raises:
        DataError: There is no such task set, or no data for it.
    """
    if task_set not in TASK_SETS:
        raise DataError(f"ALFWorld has no task set {task_set!r}; there are: {', '.join(TASK_SETS)}")
    split, _, grammar = task_set.partition("@")
    if grammar:
        return split, "put" if grammar == "put" else "move"
    for candidate in ("move", "put"):
        if find_split(split, candidate) is not None:
            return split, candidate
    raise _missing(split, "move")


def list_tasks(task_set: str) -> tuple[Task, ...]:
    """The tasks of a task set, sorted by key, without instructions.

    Raises:
        DataError: See `resolve`.
    """
    split, grammar = resolve(task_set)
    root = _required(split, grammar)
    return tuple(
        Task(
            key=f"alfworld/{split}/{name}",
            benchmark="alfworld",
            task_set=task_set,
            task_type=name.split("-", 1)[0],
            source={"split": split, "grammar": grammar, "game": name},
        )
        for name in _names(root)
    )


def game_path(task: Task) -> Path:
    """Where a task's game lies on this machine.

    Raises:
        DataError: The data is not here, or the task does not come from `list_tasks`.
    """
    match task.source:
        case {"split": split, "grammar": "put" | "move" as grammar, "game": name}:
            root = _required(split, grammar)
        case _:
            raise DataError(f"not an ALFWorld task: {task.key} with source {dict(task.source)}")
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise DataError(f"{task.key}: its game {name!r} lies outside the data directory")
    return root / name / _GAME_FILE


def read_game(path: Path) -> dict[str, Any]:
    """A game's parsed JSON.

    Raises:
        DataError: The file is missing or not a game.
    """
    try:
        game = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} can't be read as an ALFWorld game: {error}") from error
    if not isinstance(game, dict) or "grammar" not in game:
        raise DataError(f"{path} is not an ALFWorld game: it has no field 'grammar'")
    return game


def find_split(split: str, grammar: Grammar) -> Path | None:
    """The directory with a split's games in a grammar; unpacks an archive if it must."""
    data = data_directory()
    if (split, grammar, data) not in _found:
        directory = _search(split, grammar, data)
        if directory is None:  # not remembered: it may be fetched yet
            return None
        _found[split, grammar, data] = directory
    return _found[split, grammar, data]


_found: dict[tuple[str, Grammar, Path], Path] = {}


def _search(split: str, grammar: Grammar, data: Path) -> Path | None:
    for directory in (data / "alfworld", data):
        if found := _split_below(directory, split, grammar):
            return found
    for source in SOURCES:
        if source.grammar == grammar and split in source.splits and source.archive.path.exists():
            return _split_below(unpacked(source.archive.path), split, grammar)
    official = os.environ.get("ALFWORLD_DATA") or Path.home() / ".cache" / "alfworld"
    return _split_below(Path(official), split, grammar)


def _split_below(directory: Path, split: str, grammar: Grammar) -> Path | None:
    for root in sorted(directory.glob(f"json_*/{split}")):
        first = next(_games_below(root), None)
        if first is not None and grammar_of(read_game(first)) == grammar:
            return root
    return None


def _required(split: str, grammar: Grammar) -> Path:
    root = find_split(split, grammar)
    if root is None:
        raise _missing(split, grammar)
    return root


def _missing(split: str, grammar: Grammar) -> DataError:
    fitting = [
        source.archive.name
        for source in SOURCES
        if source.grammar == grammar and split in source.splits
    ]
    return DataError(
        f"there are no ALFWorld games of {split!r} with the {grammar!r} grammar. Run "
        f"'metaplan data fetch alfworld', or put one of {', '.join(fitting)} into "
        f"{data_directory()} (METAPLAN_DATA names the data directory)"
    )


@cache
def _names(root: Path) -> tuple[str, ...]:
    """``<task>/<trial>`` of every solvable official game, sorted."""
    paths = {path.parent.relative_to(root).as_posix(): path for path in _games_below(root)}
    return tuple(
        name
        for name, path in sorted(paths.items())
        if not ("movable" in name or "Sliced" in name or name.startswith(_UNOFFICIAL))
        and _is_solvable(path)
    )


def _games_below(root: Path) -> Iterator[Path]:
    return root.glob(f"*/*/{_GAME_FILE}")


def _is_solvable(path: Path) -> bool:
    """The game's own field, read from the end of the file where it stands."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        tail = file.read().rpartition(b'"solvable":')[2].lstrip()
    if tail.startswith((b"true", b"false")):
        return tail.startswith(b"true")
    return bool(read_game(path).get("solvable"))
