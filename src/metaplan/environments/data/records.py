"""What a benchmark says about its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from metaplan.environments.data.directories import data_directory

__all__ = ["BenchmarkData", "DataReport", "DataSource"]


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """One file of benchmark data.

    Attributes:
        name: Its path below the data directory.
        holds: What is in it, for people.
        url: Where it can be fetched; None where it can't.
        size_bytes: Its size; None where it is not known.
        sha256: Its checksum, in lower-case hexadecimal digits; None where it is not known.
    """

    name: str
    holds: str
    url: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None

    @property
    def path(self) -> Path:
        """Where the file lies, or would."""
        return data_directory() / self.name


@dataclass(frozen=True)
class DataReport:
    """What a check found about one task set, or about another part of a benchmark.

    Attributes:
        benchmark: Whose data it is.
        task_set: The task set, or what else was looked at.
        directory: Where its data lies; None where there is none.
        count: Usable tasks found.
        expected: Tasks in the official task set.
        problems: In words, with the file's name; empty for good data.
        notes: What one should know although nothing is wrong, such as a count that differs from
            the paper's, or how to get what is absent.
    """

    benchmark: str
    task_set: str
    directory: Path | None
    count: int
    expected: int
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BenchmarkData:
    """The data of one benchmark.

    Attributes:
        sources: Every file that it can use.
        audit: Reads all of its data on this machine, and reports on each part when that is done.
    """

    sources: tuple[DataSource, ...]
    audit: Callable[[], Iterator[DataReport]]
