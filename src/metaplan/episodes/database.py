"""The SQLite file of a run directory: opening, locking, committing.

One process writes (guarded by a lock file); any number read. On file systems where WAL is unsafe
the file keeps SQLite's rollback journal.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from metaplan.core import RunError
from metaplan.episodes.filesystem import is_network_mount
from metaplan.episodes.lock import take_lock

__all__ = ["FILE_NAME", "SCHEMA_VERSION", "Database"]

FILE_NAME = "run.db"
T = TypeVar("T")

# One entry a format: what it added to the one before. A file of an older format gets the rest when
# it is opened for writing.
_FORMATS = (
    """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE stages (name TEXT PRIMARY KEY, seconds REAL NOT NULL, result TEXT);
CREATE TABLE tasks (
    task_set TEXT NOT NULL, key TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (task_set, key)
);
CREATE TABLE trajectories (task_key TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE plans (key TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE plan_samples (
    planner TEXT NOT NULL, task_key TEXT NOT NULL, number INTEGER NOT NULL,
    plan_key TEXT REFERENCES plans (key), raw TEXT NOT NULL,
    PRIMARY KEY (planner, task_key, number)
);
CREATE TABLE episodes (
    key TEXT PRIMARY KEY, purpose TEXT NOT NULL, round INTEGER NOT NULL, task_key TEXT NOT NULL,
    environment TEXT NOT NULL, plan_key TEXT, placement TEXT, agent TEXT NOT NULL,
    repetition INTEGER NOT NULL, reward REAL NOT NULL, success INTEGER NOT NULL,
    stop_reason TEXT NOT NULL, steps INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, duration_s REAL NOT NULL, finished_at REAL NOT NULL,
    turns TEXT NOT NULL
);
CREATE INDEX episodes_by_task ON episodes (task_key, plan_key);
CREATE TABLE voids (
    key TEXT NOT NULL, task_key TEXT NOT NULL, stop_reason TEXT NOT NULL, cause TEXT NOT NULL,
    at REAL NOT NULL
);
""",
    "CREATE TABLE completions (request TEXT PRIMARY KEY, record TEXT NOT NULL);",
    # What `status` adds up is in one index: the table itself is mostly turns.
    """
ALTER TABLE stages ADD COLUMN began_at REAL;
ALTER TABLE voids ADD COLUMN prompt_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE voids ADD COLUMN completion_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE plan_samples ADD COLUMN prompt_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE plan_samples ADD COLUMN completion_tokens INTEGER NOT NULL DEFAULT 0;
CREATE INDEX episodes_summed_up ON episodes (
    purpose, task_key, reward, success, steps, prompt_tokens, completion_tokens, duration_s
);
""",
    # The key of no plan is empty.
    """
CREATE TABLE demonstrations (
    task_key TEXT NOT NULL, person INTEGER NOT NULL, plan_key TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (task_key, person, plan_key)
);
""",
)
SCHEMA_VERSION = len(_FORMATS)

# How a file of an older format looks to who only reads it: as if it had what came later. One entry
# a format, as above.
_VIEWS = (
    "",
    "CREATE TEMP VIEW completions AS SELECT '' AS request, '{}' AS record WHERE 0;",
    """
CREATE TEMP VIEW stages AS SELECT rowid, *, NULL AS began_at FROM main.stages;
CREATE TEMP VIEW voids AS SELECT *, 0 AS prompt_tokens, 0 AS completion_tokens FROM main.voids;
CREATE TEMP VIEW plan_samples AS
    SELECT *, 0 AS prompt_tokens, 0 AS completion_tokens FROM main.plan_samples;
""",
    """
CREATE TEMP VIEW demonstrations AS
    SELECT '' AS task_key, 0 AS person, '' AS plan_key, '{}' AS record WHERE 0;
""",
)


class Database:
    """The open file, and the lock that goes with writing to it.

    Args:
        directory: The run directory; its file is ``run.db``.
        read_only: Takes no lock, writes nothing.

    Raises:
        RunError: Another process runs in this directory, there is no run, or the file can't be
            used; the message says what to do.
    """

    def __init__(self, directory: Path, *, read_only: bool) -> None:
        self.path = directory / FILE_NAME
        if read_only and not self.path.exists():
            raise RunError(f"{directory} holds no run (there is no {FILE_NAME} in it)")
        self._lock = None if read_only else take_lock(directory)
        try:
            self._connection = _connect(self.path, read_only)
        except BaseException:
            self._unlock()
            raise

    def close(self) -> None:
        """Closes the file and gives up the lock. Safe to call twice."""
        self._connection.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Raises:
            RunError: The file is damaged.
        """
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise _unusable(self.path, error, "read") from None

    def read_as(self, parse: Callable[..., T], statement: str, *values: Any) -> list[T]:
        """What the rows of a query say.

        Args:
            parse: Makes something of the columns of one row.
            statement: The query.
            *values: Of its slots.

        Raises:
            RunError: The file is damaged: what is written there can't be understood.
        """
        rows = self.read(statement, *values)
        with self.making_sense():
            return [parse(*row) for row in rows]

    @contextmanager
    def making_sense(self) -> Iterator[None]:
        """For work on what was read: where it fails, something else was written.

        Raises:
            RunError: The file is damaged.
        """
        try:
            yield
        except (ValueError, TypeError) as error:
            raise _damaged(self.path, str(error).partition("\n")[0]) from None

    def write(self, *statements: tuple[str, Sequence[Any]]) -> None:
        """Commits statements in one transaction: all of them or, when it raises, none.

        Raises:
            RunError: The disk is full, or the file can't be written, or it is damaged.
        """
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for statement, values in statements:
                    connection.execute(statement, values)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as error:
            raise _unusable(self.path, error, "write to") from None


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    """Opens the file and makes sure that it is a run's.

    Raises:
        RunError: It is not, or it can't be read.
    """
    log = path.with_name(path.name + "-wal")
    has_log = log.exists() and log.stat().st_size > 0
    if has_log and not (path.exists() and path.stat().st_size):
        raise _damaged(path, f"it is empty, but has a log, {log.name}")
    try:
        if has_log and not read_only:
            _check_after_unclean_end(path)
        connection = sqlite3.connect(_address(path, read_only), uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise _unusable(path, error, "open") from None
    try:
        connection.execute("PRAGMA busy_timeout = 10000")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        _check_version(path, version, read_only, is_empty=not tables)
        if not read_only:
            _choose_journal(connection, path)
            if version < SCHEMA_VERSION:
                missing = "".join(_FORMATS[version:])
                connection.executescript(
                    f"BEGIN;{missing}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
                )
        elif version < SCHEMA_VERSION:
            connection.executescript("".join(_VIEWS[version:]))
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _unusable(path, error, "open") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _address(path: Path, read_only: bool) -> str:
    """SQLite's address of the file.

    Reading a WAL database makes a file beside it, which can't be done in a directory without
    write permission (an archived run). Without a log to read the file alone is the whole truth.
    """
    mode = "ro" if read_only else "rwc"
    log = path.with_name(path.name + "-wal")
    alone = read_only and not os.access(path.parent, os.W_OK) and not log.exists()
    return f"{path.absolute().as_uri()}?mode={mode}" + ("&immutable=1" if alone else "")


def _check_version(path: Path, version: int, read_only: bool, *, is_empty: bool) -> None:
    if is_empty != (version == 0):
        raise _damaged(path, "its tables are not those of a run")
    if version == 0 and read_only:
        raise RunError(f"{path} holds nothing yet: the run was interrupted at its very start")
    if version > SCHEMA_VERSION:
        raise RunError(
            f"{path} has format {version}, this Metaplan reads up to {SCHEMA_VERSION}: use the "
            f"version that wrote it (see versions.json), or another --out directory"
        )


def _choose_journal(connection: sqlite3.Connection, path: Path) -> None:
    """Each time anew, for a run directory may have been moved.

    A killed process damages neither journal. After a power cut WAL loses the last moments at
    most; the rollback journal needs to wait for the disk at every commit to be safe.
    """
    if is_network_mount(path.parent):
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = FULL")
    else:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")


def _check_after_unclean_end(path: Path) -> None:
    """Looks through a file whose last writer was killed, together with the log that it left.

    The two fit together, unless a person has put another file beside the log. To open that for
    writing would spoil it.

    Raises:
        RunError: The file is damaged.
    """
    with closing(sqlite3.connect(_address(path, read_only=True), uri=True)) as connection:
        ((finding,),) = connection.execute("PRAGMA quick_check(1)")
    if finding != "ok":
        raise _damaged(path, finding)


_REMEDIES = {
    sqlite3.SQLITE_FULL: "free some disk space",
    sqlite3.SQLITE_IOERR: "free some disk space, or look at the disk's state",
    sqlite3.SQLITE_READONLY: "put the permissions of the file and of its directory right",
    sqlite3.SQLITE_PERM: "put the permissions of the file and of its directory right",
    sqlite3.SQLITE_BUSY: "end the program that uses it",
    sqlite3.SQLITE_CANTOPEN: (
        "look at the permissions of its directory and at the limit of open files (ulimit -n)"
    ),
}
"""By SQLite's error code, where the file itself is not the fault."""


def _unusable(path: Path, error: sqlite3.Error, what: str) -> RunError:
    """Says what to do about a file that can't be used, by what is wrong with it."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    cause, remedy = str(error), _REMEDIES.get(code & 0xFF)
    try:
        path.open("rb").close()
    except FileNotFoundError:
        pass
    except OSError as refusal:  # SQLite itself does not say why
        cause, remedy = f"{refusal.strerror}", "put that right"
    if remedy is None or code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return _damaged(path, cause)
    return RunError(
        f"can't {what} {path}: {cause}. What was committed is safe: {remedy}, then give the same "
        f"command again"
    )


def _damaged(path: Path, finding: str) -> RunError:
    return RunError(
        f"{path} is damaged, or no run's database ({finding}). Nothing was changed. "
        f"'metaplan repair {path.parent}' saves what can be read, and the run goes on from there; "
        f"or move the file away to start over"
    )
