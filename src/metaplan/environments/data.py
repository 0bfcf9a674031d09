"""Where benchmark data lies, and how it gets there.

Data is looked for in the configured directory, and where a benchmark's own downloader puts it, but
never anywhere else: game files are programs to TextWorld, so only those are opened that the user
has put (or fetched) there. Archives stay as they are and are unpacked once into the cache.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from metaplan.core import DataError, UserError, digest

__all__ = [
    "DataReport",
    "DataSource",
    "cache_directory",
    "check_data",
    "data_directory",
    "data_sources",
    "fetch",
    "get_source",
    "unpacked",
]

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """One archive of benchmark data.

    Attributes:
        name: File name, as it lies in ``<data directory>/<benchmark>/``.
        benchmark: Whose data it is.
        holds: What is in it, for people.
        url: Where it can be fetched; None where it can't.
    """

    name: str
    benchmark: str
    holds: str
    url: str | None = None

    @property
    def path(self) -> Path:
        """Where the archive lies, or would."""
        return data_directory() / self.benchmark / self.name


def cache_directory() -> Path:
    """Metaplan's own cache: ``$XDG_CACHE_HOME/metaplan``, by default ``~/.cache/metaplan``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "metaplan"


def data_directory() -> Path:
    """Where benchmark data lies: ``$METAPLAN_DATA``, by default ``data`` in the cache."""
    named = os.environ.get("METAPLAN_DATA")
    return Path(named).expanduser().resolve() if named else cache_directory() / "data"


@dataclass(frozen=True)
class DataReport:
    """What `check_data` found about one task set.

    Attributes:
        directory: Where its data lies; None where there is none.
        count: Usable tasks found.
        expected: Tasks in the official task set.
        problems: In words, with the file's name; empty for good data.
    """

    benchmark: str
    task_set: str
    directory: Path | None
    count: int
    expected: int
    problems: tuple[str, ...]


def data_sources() -> tuple[DataSource, ...]:
    """Every archive that Metaplan can read."""
    from metaplan.environments.alfworld.games import SOURCES

    return tuple(source.archive for source in SOURCES)


def get_source(name: str) -> DataSource:
    """The archive of that file name.

    Raises:
        UserError: There is none.
    """
    sources = {source.name: source for source in data_sources()}
    if name not in sources:
        raise UserError(f"no data archive is called {name!r}; there are: {', '.join(sources)}")
    return sources[name]


def check_data() -> Iterator[DataReport]:
    """Reads all benchmark data on this machine, task set by task set."""
    from metaplan.environments.alfworld.audit import audit

    yield from audit()


def fetch(source: DataSource) -> Path:
    """Downloads an archive into the data directory; goes on where an earlier attempt stopped.

    Returns:
        The archive's path; if it is there already, nothing is done.

    Raises:
        DataError: No address, or no network: the message says which file to put where.
    """
    if source.path.exists():
        return source.path
    if source.url is None:
        raise DataError(f"{source.name} can't be fetched: put it at {source.path}")
    partial = source.path.with_name(source.name + ".partial")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        _download(source.url, partial)
        partial.replace(source.path)
    except (OSError, urllib.error.URLError) as error:
        raise DataError(
            f"{source.name} could not be fetched ({error}). Where this machine has no network, "
            f"download {source.url} elsewhere and put the file at {source.path}"
        ) from error
    return source.path


def _download(url: str, partial: Path) -> None:
    begun = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={begun}-"} if begun else {})  # noqa: S310
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
        resumed = answer.status == 206
        total = int(answer.headers.get("Content-Length", 0)) + (begun if resumed else 0)
        done = begun if resumed else 0
        with partial.open("ab" if resumed else "wb") as file:
            while chunk := answer.read(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                _show(f"{partial.stem}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")
    _show("")
    if total and done != total:
        raise OSError(f"the connection ended after {done} of {total} bytes")


def unpacked(archive: Path) -> Path:
    """The directory with an archive's files: unpacked into the cache once, then reused.

    Safe to call from several processes at a time, and after one was killed in the middle: files
    go into a temporary directory, which gets its name when it is complete.

    Raises:
        DataError: The archive is damaged, or the disk is full.
    """
    stem = archive.name.split(".", 1)[0]
    target = (
        cache_directory() / "unpacked" / f"{stem}-{digest(archive.name, archive.stat().st_size)}"
    )
    if target.is_dir():
        return target
    partial = target.with_name(target.name + ".partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _lock(target.with_name(target.name + ".lock")):
        if not target.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
            try:
                _extract(archive, partial)
                partial.rename(target)
            except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
                shutil.rmtree(partial, ignore_errors=True)
                raise DataError(f"{archive} can't be unpacked: {error}") from error
    return target


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _extract(archive: Path, target: Path) -> None:
    """Unpacks below `target`; members that would end up elsewhere are refused."""
    written = 0
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                zipped.extract(entry, target)
                written += entry.file_size
                _show(f"unpacking {archive.name}: {written / 1e6:.0f} MB")
    else:
        with tarfile.open(archive) as tarred:
            for member in tarred:
                tarred.extract(member, target, filter="data")
                written += member.size
                _show(f"unpacking {archive.name}: {written / 1e6:.0f} MB")
    _show("")


def _show(line: str) -> None:
    """Rewrites the progress line; silent where nobody watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()
