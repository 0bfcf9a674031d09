"""A real simulator, a cache of our own, and the children of a process."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from metaplan.core import Task
from metaplan.environments import Benchmark
from metaplan.environments.scienceworld import BENCHMARK
from metaplan.environments.scienceworld.simulators import SIMULATORS

pytest.importorskip("scienceworld")


@pytest.fixture(scope="package", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the simulator was asked is kept below a directory of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
    SIMULATORS.stop()


@pytest.fixture(scope="package")
def benchmark() -> Benchmark:
    return BENCHMARK


@pytest.fixture(scope="package")
def task() -> Callable[..., Task]:
    """Makes a task by its name and variation."""

    def make(name: str, variation: int = 0, task_set: str = "train") -> Task:
        return Task(
            key=f"scienceworld/{name}/{variation}",
            benchmark="scienceworld",
            task_set=task_set,
            task_type=name,
            source={"task": name, "variation": str(variation)},
        )

    return make


def _stat(pid: int) -> tuple[str, int]:
    """State and parent of a process; a process that is gone is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "Z", 0
    return fields[0], int(fields[1])


@pytest.fixture(scope="package")
def children() -> Callable[[int], list[int]]:
    """Lists the living children of a process."""

    def find(parent: int) -> list[int]:
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return [pid for pid in pids if _stat(pid)[1] == parent and _stat(pid)[0] != "Z"]

    return find


@pytest.fixture(scope="package")
def wait_until_gone() -> Callable[..., list[int]]:
    """Waits for processes to end; returns those that do not."""

    def wait(pids: list[int], seconds: float = 8.0) -> list[int]:
        deadline = time.monotonic() + seconds
        left = pids
        while left and time.monotonic() < deadline:
            left = [pid for pid in left if _stat(pid)[0] != "Z"]
            time.sleep(0.05)
        return left

    return wait
