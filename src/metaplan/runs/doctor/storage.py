"""Directories: of data, of the cache, of a run; and the run that is in one."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from metaplan.core import RunError, UserError
from metaplan.environments import get_benchmark
from metaplan.environments.data import cache_directory, data_directory
from metaplan.episodes import RunStore, is_network_mount, running_process
from metaplan.episodes.database import Database
from metaplan.recipes import RunConfig
from metaplan.runs.doctor.checks import Check, Finding
from metaplan.runs.doctor.machine import gigabytes
from metaplan.runs.dry_run import estimate_run

__all__ = ["run_checks", "storage_checks"]

_LEAST_FREE_B = 1e9
_SLOW_COMMIT_S = 0.05
_LONG_S = 180.0
_TOO_LARGE_B = 5e9  # to look through in that time, on a slow disk


def storage_checks(config: RunConfig | None, directory: Path | None) -> Iterator[Check]:
    """Where data is read from and where a run would be kept."""
    if config is None or get_benchmark(config.benchmark).data is not None:
        yield Check("data directory", _data)
    yield Check("cache", _cache)
    place = (directory or Path("runs")).absolute()
    yield Check("run directory", lambda: _place(config, place), _LONG_S)


def run_checks(directory: Path) -> Iterator[Check]:
    """What is in a run directory."""
    yield Check("run", lambda: _lock(directory))
    yield Check("database", lambda: _database(directory), _LONG_S)
    yield Check("versions", lambda: _versions(directory))


def _data() -> Iterator[Finding]:
    directory, named = data_directory(), bool(os.environ.get("METAPLAN_DATA"))
    by = "METAPLAN_DATA" if named else "the default"
    if not directory.is_dir():
        fact = f"there is no {directory} ({by})"
        remedy = "name one that is there: export METAPLAN_DATA=/path; or: metaplan data fetch"
        # A path that somebody gave and that leads nowhere is a mistake; the default is made later.
        yield Finding.trouble("data directory", fact, remedy, needed=named)
    elif not os.access(directory, os.R_OK | os.X_OK):
        remedy = f"chmod u+rx {directory}, or another one in METAPLAN_DATA"
        yield Finding.trouble("data directory", f"{directory} can't be read", remedy)
    else:
        yield Finding.fine("data directory", f"{directory} ({by})")


def _cache() -> Iterator[Finding]:
    directory = cache_directory()
    try:
        free = _writable(directory)
    except OSError as error:
        remedy = "name one that can be: export XDG_CACHE_HOME=/path"
        yield Finding.trouble("cache", f"{directory} can't be written: {error.strerror}", remedy)
        return
    fact = f"{gigabytes(free)} free for {directory}"
    if free < _LEAST_FREE_B:
        remedy = "free some space, or: export XDG_CACHE_HOME=/path"
        yield Finding.trouble("cache", f"only {fact}", remedy, needed=False)
    else:
        yield Finding.fine("cache", fact)


def _existing(directory: Path) -> Path:
    """The directory, or the nearest one above that is there."""
    directory = directory.absolute()
    return next(one for one in (directory, *directory.parents) if one.exists())


def _writable(directory: Path) -> float:
    """Free bytes where a directory is or would be made.

    Raises:
        OSError: Nothing can be written there.
    """
    place = _existing(directory)
    with tempfile.TemporaryFile(dir=place) as file:
        file.write(b"\0")
        file.flush()
    return float(shutil.disk_usage(place).free)


def _place(config: RunConfig | None, directory: Path) -> Iterator[Finding]:
    """Permission, locks, speed and room of the file system."""
    subject = "run directory"
    try:
        free = _writable(directory)
        commit_s = _commit_s(_existing(directory))
    except OSError as error:
        fact = f"{directory} can't be used: {error.strerror}"
        yield Finding.trouble(subject, fact, "another --out directory, or its permissions")
        return
    remedy = "an --out directory on a local disk is faster"
    if is_network_mount(directory):
        fact = f"{directory} is on a network mount: every episode waits for its disk"
        yield Finding.trouble(subject, f"{fact}, {commit_s * 1e3:.0f} ms", remedy, needed=False)
    elif commit_s > _SLOW_COMMIT_S:
        fact = f"{directory} is slow: a commit takes {commit_s * 1e3:.0f} ms"
        yield Finding.trouble(subject, fact, remedy, needed=False)
    fact = f"{gigabytes(free)} free for {directory}"
    wanted = _wanted_b(config, directory)
    if wanted is None:
        yield Finding.fine(subject, fact)
        return
    fact += f"; the run takes up to {gigabytes(wanted)} more"
    if free < wanted:
        yield Finding.trouble(subject, fact, "free some space, or another --out directory")
    else:
        yield Finding.fine(subject, fact)


def _commit_s(place: Path) -> float:
    """Seconds that writing a page to the disk takes, at best of three; takes a lock too.

    Raises:
        OSError: The file system has no locks.
    """
    with tempfile.TemporaryFile(dir=place) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        took_s = []
        for _ in range(3):
            started = time.monotonic()
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            took_s.append(time.monotonic() - started)
    return min(took_s)


def _wanted_b(config: RunConfig | None, directory: Path) -> float | None:
    """As the dry run estimates; None where it can't, which other checks explain."""
    if config is None:
        return None
    try:
        stages = estimate_run(config, directory).stages
    except UserError:
        return None
    return sum(stage.disk_b for stage in stages) + max(stage.working_b for stage in stages)


def _lock(directory: Path) -> Iterator[Finding]:
    running = running_process(directory)
    if running is not None:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(running.since))
        yield Finding.fine("run", f"{directory} is at work ({running}) since {since}")
    else:
        yield Finding.fine("run", f"nobody is at work; to go on: metaplan run --out {directory}")


def _database(directory: Path) -> Iterator[Finding]:
    """Opens it, and looks through it as far as that is quick."""
    path = directory / "run.db"
    try:
        with RunStore(directory, read_only=True) as store:
            store.stages()
        database = Database(directory, read_only=True)
        try:
            ((version,),) = database.read("PRAGMA user_version")
            size = path.stat().st_size
            if size > _TOO_LARGE_B:
                remedy = f"sqlite3 {path} 'PRAGMA quick_check' looks through it (minutes)"
                fact = f"format {version}, {gigabytes(size)}: too large to look through now"
                yield Finding.trouble("database", fact, remedy, needed=False)
                return
            findings = [finding for (finding,) in database.read("PRAGMA quick_check(3)")]
        finally:
            database.close()
    except RunError as error:
        yield Finding.trouble("database", str(error), "")
        return
    if findings != ["ok"]:
        fact = f"{path} is damaged: {'; '.join(findings)}"
        yield Finding.trouble("database", fact, f"metaplan repair {directory}")
    else:
        yield Finding.fine("database", f"format {version}, {gigabytes(size)}, sound")


def _versions(directory: Path) -> Iterator[Finding]:
    """Packages that are not those that the run was made with."""
    try:
        packages = dict(json.loads((directory / "versions.json").read_text("utf-8"))["packages"])
    except (OSError, ValueError, LookupError, TypeError):
        remedy = f"it is written when the run goes on: metaplan run --out {directory}"
        yield Finding.trouble(
            "versions", "versions.json is missing or can't be read", remedy, needed=False
        )
        return
    changed = {
        name: (then, now) for name, then in packages.items() if (now := _version(name)) != then
    }
    if not changed:
        yield Finding.fine("versions", "the packages are those that the run was made with")
        return
    words = ", ".join(f"{name} {then} → {now or 'none'}" for name, (then, now) in changed.items())
    pins = " ".join(f"'{name}=={then}'" for name, (then, _) in changed.items())
    yield Finding.trouble(
        "versions",
        f"other packages than when the run was made: {words}",
        f"for numbers that compare: pip install {pins}",
        needed=False,
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
