"""The registry of benchmarks: entry points of the group ``metaplan.benchmarks``.

A package adds a benchmark by naming its `Benchmark` record in its own ``pyproject.toml``:

    [project.entry-points."metaplan.benchmarks"]
    mybench = "mypackage.mybench:BENCHMARK"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from metaplan.core import UserError
from metaplan.environments.contract import Benchmark

__all__ = ["GROUP", "benchmarks", "get_benchmark"]

GROUP = "metaplan.benchmarks"


class _Registry(Mapping[str, Benchmark]):
    """Names at once, records when they are asked for: listing imports no benchmark."""

    def __init__(self, points: Mapping[str, EntryPoint]) -> None:
        self._points = points

    def __getitem__(self, name: str) -> Benchmark:
        return _load(self._points[name])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._points))

    def __len__(self) -> int:
        return len(self._points)

    def __contains__(self, name: object) -> bool:
        return name in self._points


def benchmarks() -> Mapping[str, Benchmark]:
    """All installed benchmarks by name; each is imported when it is first looked up.

    Raises:
        UserError: On look-up, if the plugin that should bring the benchmark is broken.
    """
    return _Registry({point.name: point for point in entry_points(group=GROUP)})


def get_benchmark(name: str) -> Benchmark:
    """The benchmark of that name.

    Raises:
        UserError: There is none, or its plugin is broken.
    """
    known = benchmarks()
    if name not in known:
        raise UserError(f"no benchmark is called {name!r}; there are: {', '.join(known)}")
    return known[name]


@cache
def _load(point: EntryPoint) -> Benchmark:
    origin = f"the benchmark {point.name!r} (entry point {point.value!r})"
    try:
        found = point.load()
    except Exception as error:
        raise UserError(f"{origin} can't be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(found, Benchmark):
        raise UserError(f"{origin} is a {type(found).__name__}, not a Benchmark record")
    if found.name != point.name:
        raise UserError(f"{origin} calls itself {found.name!r}: the two names must be equal")
    return found
