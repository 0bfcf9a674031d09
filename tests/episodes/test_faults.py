"""The machine's own faults: clocks that jump, limits on files, workers that can't start."""

import contextlib
import os
import re
import resource
import sys
import time
from pathlib import Path

import pytest

from metaplan import load_recipe, run_mpo
from metaplan.core import EnvironmentFault, RunError, Task
from metaplan.environments import get_benchmark
from metaplan.episodes import EnvironmentPool, RunStatus, RunStore, SilentProgress
from metaplan.runs import read_status

SETTINGS = ["evaluate.methods=[none]", "evaluate.episodes_per_task=8"]
PLANNED = 48


class JumpingClock:
    """`time.time`, set forwards or back by an hour ten times a second."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._real = time.time

    def __call__(self) -> float:
        jumps = int((time.monotonic() - self._started) / 0.1)
        return self._real() + 3600 * (0, 1, 0, -1)[jumps % 4]


class Watching(SilentProgress):
    """Asks how the run is doing after every episode."""

    def __init__(self, directory: Path) -> None:
        self.seen: list[RunStatus] = []
        self._directory = directory

    def advance(self, count: int = 1, **facts: float) -> None:
        self.seen.append(read_status(self._directory))


def test_a_clock_that_jumps_changes_no_result_and_no_duration(
    tmp_path, tiny_recipe, monkeypatch, capsys
):
    config = load_recipe(tiny_recipe, SETTINGS)
    run_mpo(config, tmp_path / "calm", until="evaluate")
    watching = Watching(tmp_path / "run")
    started = time.monotonic()
    monkeypatch.setattr(time, "time", JumpingClock())
    run_mpo(config, tmp_path / "run", watching, until="evaluate")
    took_s = time.monotonic() - started
    with RunStore(tmp_path / "run", read_only=True) as store:
        jumped = list(store.episodes(sorted(store.finished_keys())))
    with RunStore(tmp_path / "calm", read_only=True) as store:
        calm = list(store.episodes(sorted(store.finished_keys())))
    assert len(jumped) == PLANNED
    assert [one.turns for one in jumped] == [one.turns for one in calm]
    assert all(0 <= one.duration_s < took_s for one in jumped)
    assert len(watching.seen) > PLANNED
    for status in watching.seen:
        assert 0 <= status.rates.episodes < 10_000
        assert all(0 <= stage.seconds < 3600 + took_s for stage in status.stages.values())
    last = read_status(tmp_path / "run").stages["evaluate"]
    assert 0 < last.seconds <= took_s
    for _ in range(4):  # read in every state of the clock
        print_status_of(tmp_path / "run")
        time.sleep(0.1)
    assert not re.search(r"(^|\s)-\d", capsys.readouterr().out)


def print_status_of(directory: Path) -> None:
    from metaplan.cli.status import status

    status(directory)


# -- workers that can't start


def task(number: int = 0) -> Task:
    return get_benchmark("household").tasks("train")[number]


async def play(pool: EnvironmentPool, number: int) -> None:
    environment = await pool.open(task(number))
    try:
        await environment.reset()
    finally:
        await environment.close()


async def play_on(pool: EnvironmentPool) -> None:
    """As a run does: a fault is no end."""
    for number in range(1000):
        with contextlib.suppress(EnvironmentFault):
            await play(pool, number % 4)


async def test_workers_that_die_as_they_start_end_the_run_and_not_the_machine(
    tmp_path, monkeypatch, capfd
):
    (tmp_path / "metaplan").mkdir()
    (tmp_path / "metaplan" / "__init__.py").write_text("raise ImportError('a broken install')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with EnvironmentPool(2, timeout_s=30) as pool:
        with pytest.raises(RunError, match=r"in a row were lost before they.*exit code 1.*above"):
            await play_on(pool)
    assert pool.restarts < 12
    assert "a broken install" in capfd.readouterr().err


async def test_a_worker_that_answered_before_it_was_lost_is_always_replaced(shaky_installed):
    shaky = Task(key="shaky/all/0", benchmark="shaky", task_set="all", task_type="one")
    async with EnvironmentPool(1, timeout_s=30) as pool:
        for _ in range(8):
            environment = await pool.open(shaky)
            await environment.reset()
            with pytest.raises(EnvironmentFault, match="exit code 3"):
                await environment.step("crash")
            await environment.close()
        assert pool.restarts >= 7


async def test_a_missing_python_is_named(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/absent/python")
    with pytest.raises(RunError, match=r"can't start .* /absent/python: No such file or directory"):
        await EnvironmentPool(1).start()


# -- too many open files


@contextlib.contextmanager
def files_left(count: int):
    """Lets this process open so many more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + count, hard))
    fillers = [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]
    while True:  # gaps below
        try:
            fillers.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            break
    for _ in range(count):
        os.close(fillers.pop())
    try:
        yield
    finally:
        for filler in fillers:
            os.close(filler)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
async def test_too_many_open_files_is_said_when_workers_start(count):
    with (
        files_left(count),
        pytest.raises(RunError, match=r"can't start an .*: Too many open files.*ulimit -n"),
    ):
        await EnvironmentPool(4).start()
    async with EnvironmentPool(1) as pool:  # nothing is leaked or broken
        await play(pool, 0)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_many_open_files_is_said_when_the_database_is_opened(tmp_path, count):
    RunStore(tmp_path).close()
    with (
        files_left(count),
        pytest.raises(RunError, match=r"open files"),
    ):
        RunStore(tmp_path)
    RunStore(tmp_path).close()


def test_a_command_with_too_few_files_ends_with_a_message(tiny_recipe, tmp_path, metaplan_command):
    arguments = ["evaluate", tiny_recipe, "--out", tmp_path / "run"]
    for setting in SETTINGS:
        arguments += ["--set", setting]
    done = metaplan_command(
        *arguments, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
    )
    assert done.returncode in {1, 2}
    assert "open files" in done.stderr
    assert "Traceback" not in done.stderr
    assert metaplan_command(*arguments).returncode == 0
