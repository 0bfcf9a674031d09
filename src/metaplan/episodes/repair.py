"""Saves what can be read of a damaged database into a new one.

Rows are copied one by one, and only those that are as Metaplan wrote them: of an episode, for
example, the key has to follow from the other fields. What is lost is missing in the new file, so
the same run command does it again.
"""
# ruff: noqa: S608  (SQL from the names of our own tables and columns alone)

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from metaplan.core import (
    Episode,
    ExpertTrajectory,
    MetaPlan,
    Record,
    RunError,
    StopReason,
    Task,
    episode_key,
)
from metaplan.episodes.database import FILE_NAME, Database
from metaplan.episodes.lock import run_lock
from metaplan.models import Completion

__all__ = ["Repair", "repair_database"]

# An unreadable page hides fewer rows of one table: all that there can be, or so many.
_SMALLEST_ROW = 40  # bytes
_MOST_HIDDEN_ROWS = 100_000
_LARGEST_NUMBER = 2**62  # of a row; SQLite's own limit is a little higher
_FIRST_PAGE = 4096  # bytes; SQLite's default size
_FIRST_PAGE_COUNTS_PAGES = slice(92, 96)  # zeros: the count in there is not to be used
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
_BATCH = 500  # rows
_AS_IT_IS = "as it is"


class Repair(Record):
    """What became of a database.

    Attributes:
        kept: Rows that could be read, by table.
        lost: Rows that could not, by table. Those at the end of a table leave no trace, so there
            may have been more.
        damaged_file: Where the old file is now; None where nothing was wrong with it.
    """

    kept: dict[str, int]
    lost: dict[str, int]
    damaged_file: Path | None


def repair_database(directory: Path) -> Repair:
    """Puts a new database with all that can be read in the place of a run's damaged one.

    The old file stays beside the new one, with its log. A sound one is left alone.

    Args:
        directory: The run directory.

    Raises:
        RunError: There is no database, a process is running in the directory, or there is no
            room for the copies.
    """
    path = directory / FILE_NAME
    if not path.is_file():
        raise RunError(f"{directory} holds no run (there is no {FILE_NAME} in it)")
    work = directory / "repair.partial"
    with run_lock(directory):
        try:
            shutil.rmtree(work, ignore_errors=True)  # of one that was killed
            work.mkdir()
            return _repair(path, work)
        except OSError as error:
            raise RunError(
                f"can't repair {path}: {error.strerror} ({error.filename}). Nothing was changed; "
                f"{directory} needs room for two copies of the file, and write permission"
            ) from None
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _repair(path: Path, work: Path) -> Repair:
    Database(work / "new", read_only=False).close()
    empty = (work / "new" / FILE_NAME).read_bytes()
    with (
        closing(Database(work / "new", read_only=False)) as new,
        closing(_open_copy(path, work, empty[:_FIRST_PAGE])) as damaged,
    ):
        tables = [name for (name,) in new.read(_TABLES)]
        hidden = min(path.stat().st_size // _SMALLEST_ROW, _MOST_HIDDEN_ROWS)
        lost = {table: _copy_rows(damaged, new, table, hidden) for table in tables}
        lost["plan_samples"] += _drop_samples_without_plan(new)
        kept = {table: _count(new, table) for table in tables}
    lost = {table: count for table, count in lost.items() if count}
    sound = not lost and _is_sound(work / _AS_IT_IS / FILE_NAME)
    aside = None if sound else _exchange(path, work / "new" / FILE_NAME)
    return Repair(kept=kept, lost=lost, damaged_file=aside)


def _open_copy(path: Path, work: Path, first_page: bytes) -> sqlite3.Connection:
    """A copy to read from; with the first page of an empty database where its own is damaged.

    That page says where the tables are: in all databases at the same places, but for tables that
    an older one got later.
    """
    connection = _connect(_copied(path, work / _AS_IT_IS))
    try:
        if connection.execute(_TABLES).fetchall():
            return connection
    except sqlite3.DatabaseError:
        pass
    connection.close()
    copy = _copied(path, work / "with another first page")
    page = bytearray(first_page)
    page[_FIRST_PAGE_COUNTS_PAGES] = bytes(4)
    with copy.open("r+b") as file:
        file.write(page)
    return _connect(copy)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA writable_schema = ON")  # also reads a file that has been cut
    return connection


def _copied(path: Path, directory: Path) -> Path:
    directory.mkdir()
    for file in _with_log(path):
        shutil.copyfile(file, directory / file.name)
    return directory / path.name


def _with_log(path: Path) -> list[Path]:
    """The log, if there is one, and the file."""
    return [file for file in (path.with_name(path.name + "-wal"), path) if file.exists()]


def _exchange(path: Path, new: Path) -> Path:
    """Moves the damaged file aside and the new one into its place; returns where the old one is."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    log, index = (path.with_name(path.name + ending) for ending in ("-wal", "-shm"))
    if log.exists():
        log.rename(aside.with_name(aside.name + "-wal"))
    index.unlink(missing_ok=True)
    try:
        aside.hardlink_to(path)  # a run never is without a database, also if we are killed here
    except OSError:  # a file system without such links
        path.rename(aside)
    new.replace(path)
    return aside


def _is_sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as connection:
            findings = connection.execute("PRAGMA integrity_check").fetchall()
            return findings == [("ok",)] and bool(connection.execute(_TABLES).fetchall())
    except sqlite3.DatabaseError:
        return False


def _copy_rows(damaged: sqlite3.Connection, new: Database, table: str, hidden: int) -> int:
    """Copies the rows that can be read and are intact.

    Args:
        damaged: From where.
        new: To where.
        table: Its name.
        hidden: Numbers without a readable row after which there is none any more.

    Returns:
        How many are not; of those that can't be read only the ones before a row that can.
    """
    columns = _common_columns(damaged, new, table)
    if not columns:
        return 0
    listed = ", ".join(columns)
    query = f"SELECT rowid, {listed} FROM {table} WHERE rowid > ? ORDER BY rowid"
    insert = f"INSERT OR IGNORE INTO {table} ({listed}) VALUES ({', '.join('?' * len(columns))})"
    batch: list[tuple[str, tuple[Any, ...]]] = []
    unreadable: set[int] = set()
    wrong: set[int] = set()
    last = at = 0
    while at <= last + hidden:
        try:
            for number, *values in damaged.execute(query, (at,)):
                if not _is_intact(table, dict(zip(columns, values, strict=True))):
                    wrong.add(number)
                    continue
                at = last = min(number, _LARGEST_NUMBER)
                batch.append((insert, tuple(values)))
                if len(batch) == _BATCH:
                    new.write(*batch)
                    batch.clear()
            break
        except sqlite3.DatabaseError:
            at += 1
            unreadable.add(at)
    new.write(*batch)
    return len({number for number in unreadable if number < last} | wrong)


def _common_columns(damaged: sqlite3.Connection, new: Database, table: str) -> list[str]:
    """Columns of the new table that the damaged one has: an older one may lack some."""
    question = f"PRAGMA table_info({table})"
    try:
        there = {name for _, name, *_ in damaged.execute(question)}
    except sqlite3.DatabaseError:
        return []
    return [name for _, name, *_ in new.read(question) if name in there]


def _count(new: Database, table: str) -> int:
    return int(new.read(f"SELECT COUNT(*) FROM {table}")[0][0])


def _drop_samples_without_plan(new: Database) -> int:
    """A sample whose plan was lost would look like one without a plan in it."""
    before = _count(new, "plan_samples")
    new.write(("DELETE FROM plan_samples WHERE plan_key NOT IN (SELECT key FROM plans)", ()))
    return before - _count(new, "plan_samples")


# -- what an intact row is

_Row = Mapping[str, Any]


def _is_intact(table: str, row: _Row) -> bool:
    """Whether Metaplan can have written a row."""
    if any(isinstance(value, bytes) or "\0" in str(value) for value in row.values()):
        return False
    try:
        return _CHECKS[table](row)
    except (ValueError, TypeError, KeyError):
        return False


def _is_demonstration(row: _Row) -> bool:
    shown = ExpertTrajectory.model_validate_json(row["record"])
    key = shown.plan.key if shown.plan else ""
    return (shown.task.key, key) == (row["task_key"], row["plan_key"]) and isinstance(
        row["person"], int
    )


def _is_episode(row: _Row) -> bool:
    fields = {name: row[name] for name in Episode.model_fields if name in row}
    episode = Episode(**fields | {"turns": json.loads(row["turns"])})
    key = episode_key(
        round=episode.round,
        task_key=episode.task_key,
        environment=episode.environment,
        plan_key=episode.plan_key,
        placement=episode.placement,
        agent=episode.agent,
        repetition=episode.repetition,
    )
    reward = episode.turns[-1].reward if episode.turns else 0.0
    return (
        (key, reward, episode.steps) == (episode.key, episode.reward, row["steps"])
        and not episode.stop_reason.is_void
        and isinstance(row["finished_at"], float)
    )


def _is_plan(row: _Row) -> bool:
    plan = MetaPlan.model_validate_json(row["record"])
    # As it was written: an older version may have tidied steps in another way.
    written = MetaPlan.model_construct(steps=tuple(json.loads(row["record"])["steps"]))
    return row["key"] in {plan.key, written.key}


def _is_sample(row: _Row) -> bool:
    return isinstance(row["raw"], str) and isinstance(row["number"], int)


def _is_stage(row: _Row) -> bool:
    return isinstance(row["seconds"], float) and isinstance(json.loads(row["result"] or "{}"), dict)


def _is_task(row: _Row) -> bool:
    task = Task.model_validate_json(row["record"])
    return (task.task_set, task.key) == (row["task_set"], row["key"])


_CHECKS: dict[str, Callable[[_Row], bool]] = {
    "meta": lambda row: bool(row["name"]) and json.loads(row["value"]) is not ...,
    "stages": _is_stage,
    "tasks": _is_task,
    "trajectories": lambda row: (
        ExpertTrajectory.model_validate_json(row["record"]).task.key == row["task_key"]
    ),
    "demonstrations": _is_demonstration,
    "plans": _is_plan,
    "plan_samples": _is_sample,
    "episodes": _is_episode,
    "voids": lambda row: StopReason(row["stop_reason"]).is_void and isinstance(row["at"], float),
    "completions": lambda row: bool(Completion.model_validate_json(row["record"])),
}
