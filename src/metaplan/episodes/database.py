"""The SQLite file of a run directory: opening, locking, committing.

One process writes (guarded by a lock file); any number read. On file systems where WAL is unsafe
the file keeps SQLite's rollback journal.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metaplan.core import RunError
from metaplan.episodes.filesystem import is_network_mount

__all__ = ["SCHEMA_VERSION", "Database"]

SCHEMA_VERSION = 1

_SCHEMA = """
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
"""


class Database:
    """The open file, and the lock that goes with writing to it.

    Args:
        directory: The run directory; its file is ``run.db``.
        read_only: Takes no lock, writes nothing.

    Raises:
        RunError: Another process runs in this directory, there is no run, or the file is
            damaged; the message says what to do.
    """

    def __init__(self, directory: Path, *, read_only: bool) -> None:
        self.path = directory / "run.db"
        self._lock: int | None = None
        if read_only:
            if not self.path.exists():
                raise RunError(f"{directory} holds no run (there is no run.db in it)")
        else:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(directory)
        try:
            self._connection = self._open(read_only)
        except BaseException:
            self._unlock()
            raise

    def _open(self, read_only: bool) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        try:
            connection = sqlite3.connect(address, uri=True, isolation_level=None)
            connection.execute("PRAGMA busy_timeout = 10000")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0 and not read_only:
                if not is_network_mount(self.path):
                    connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(
                    f"BEGIN;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
                )
            elif version != SCHEMA_VERSION:
                raise RunError(
                    f"{self.path} has format {version}, this Metaplan reads {SCHEMA_VERSION}: use "
                    f"the version that wrote it (see versions.json), or another --out directory"
                )
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.DatabaseError as error:
            raise RunError(
                f"{self.path} can't be read as a run's database ({error}). Nothing was changed. "
                f"Try 'sqlite3 run.db .recover', or move the file away to start over"
            ) from None
        return connection

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
            raise RunError(f"{self.path} is damaged ({error}); 'sqlite3 run.db .recover'") from None

    def write(self, *statements: tuple[str, Sequence[Any]]) -> None:
        """Commits statements in one transaction.

        Raises:
            RunError: The disk is full, or the file can't be written.
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
            raise RunError(
                f"can't write to {self.path}: {error}. What was committed is safe; free some disk "
                f"space or put the permissions right, then run the same command again to resume"
            ) from None


def _lock(directory: Path) -> int:
    """Takes the run's lock; the kernel frees it when the process ends, however it ends."""
    descriptor = os.open(directory / "run.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(descriptor, 20).decode(errors="replace").strip()
        os.close(descriptor)
        raise RunError(
            f"another process (pid {holder or 'unknown'}) is running in {directory}; wait for it, "
            f"or use another --out directory"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor
