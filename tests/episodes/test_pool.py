"""Environment worker processes, for real: killed, hung, crashing, and never left behind."""

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
import time

import pytest
from processes import wait_until_gone

from metaplan.core import EnvironmentFault, RunError, Task
from metaplan.environments import get_benchmark
from metaplan.episodes import EnvironmentPool
from metaplan.episodes.executors import LocalExecutor
from metaplan.episodes.executors.process import FRAME_HEADER, serve


def shaky_task(number: int = 0, **source: str) -> Task:
    return Task(
        key=f"shaky/all/{number}", benchmark="shaky", task_set="all", task_type="one", source=source
    )


async def play(pool: EnvironmentPool, task: Task, *actions: str):
    environment = await pool.open(task)
    try:
        return [await environment.reset(), *[await environment.step(action) for action in actions]]
    finally:
        await environment.close()


async def until_both_run(pool: EnvironmentPool) -> None:
    """A lost worker is replaced beside the episodes that go on."""
    async with asyncio.timeout(30):
        while len(pool.processes) < 2:
            await asyncio.sleep(0.05)
    assert len(pool.processes) == 2


async def test_an_environment_in_a_worker_gives_what_it_gives_in_this_process():
    benchmark = get_benchmark("household")
    task = benchmark.tasks("train")[3]
    actions = [*(step.action for step in benchmark.expert(task).steps[:6]), "dance", ""]
    local = benchmark.load(task).make()
    expected = [local.reset(), *map(local.step, actions)]
    async with EnvironmentPool(1) as pool:
        assert await play(pool, task, *actions) == expected
        assert (await pool.describe(task)).instruction == expected[0].text
        assert await pool.expert(task) == benchmark.expert(task)


async def test_a_task_goes_to_the_worker_that_has_it_loaded(shaky_installed):
    async with EnvironmentPool(2) as pool:
        first, second = shaky_task(0), shaky_task(1)
        home = (await play(pool, first, "wait"))[-1].info["pid"]
        keeper = await pool.open(second)  # the other worker is idler from now on, or equal
        for _ in range(4):
            facts = (await play(pool, first, "wait"))[-1].info
            assert facts["pid"] == home
        assert facts["loads"] <= 2
        await keeper.close()


async def test_a_queue_is_shared_with_an_idle_worker(shaky_installed):
    async with EnvironmentPool(2) as pool:
        task = shaky_task()
        await play(pool, task)
        answers = await asyncio.gather(*(play(pool, task, *["wait"] * 5) for _ in range(16)))
        assert len({answer[-1].info["pid"] for answer in answers}) == 2


async def test_a_killed_worker_faults_its_own_episodes_and_is_replaced(shaky_installed):
    async with EnvironmentPool(2, timeout_s=30) as pool:
        doomed, safe = await pool.open(shaky_task(0)), await pool.open(shaky_task(1))
        await doomed.reset()
        await safe.reset()
        pid = (await doomed.step("wait")).info["pid"]
        assert (await safe.step("wait")).info["pid"] != pid
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EnvironmentFault, match="worker died"):
            await doomed.step("wait")
        assert (await safe.step("win")).success
        await doomed.close()
        assert (await play(pool, shaky_task(0), "win"))[-1].success
        assert pool.restarts == 1
        await until_both_run(pool)
        assert pid not in pool.processes


class Cramped(LocalExecutor):
    """A place where there is room for so many workers."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.started = []
        self._one_at_a_time = asyncio.Lock()

    async def start_worker(self):
        async with self._one_at_a_time:
            if sum(worker.alive for worker in self.started) < self.room:
                self.started.append(await super().start_worker())
                return self.started[-1]
        await asyncio.sleep(0.3)
        raise RunError("no room")


async def kill_worker_of(environment):
    pid = (await environment.step("wait")).info["pid"]
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EnvironmentFault, match="worker died"):
        await environment.step("wait")


async def test_where_there_is_less_room_than_before_fewer_workers_go_on(
    shaky_installed, monkeypatch
):
    monkeypatch.setattr("metaplan.episodes.pool._TRY_AGAIN_S", 0.2)
    executor = Cramped(2)
    async with EnvironmentPool(2, executor=executor) as pool:
        doomed, safe = await pool.open(shaky_task(0)), await pool.open(shaky_task(1))
        await doomed.reset()
        await safe.reset()
        executor.room = 1
        await kill_worker_of(doomed)
        for _ in range(3):
            assert (await play(pool, shaky_task(0), "win"))[-1].success
            assert len(pool.processes) == 1
            await asyncio.sleep(0.2)
        await kill_worker_of(safe)  # another one is lost while there is no room for the first
        assert (await play(pool, shaky_task(1), "win"))[-1].success
        executor.room = 2
        await until_both_run(pool)
        assert pool.restarts == 2


async def test_nobody_waits_for_the_second_worker_when_the_first_is_back(shaky_installed):
    executor = Cramped(2)
    async with EnvironmentPool(2, executor=executor) as pool:
        environments = [await pool.open(shaky_task(number)) for number in range(2)]
        for environment in environments:
            await environment.reset()
        for environment in environments:
            await kill_worker_of(environment)
        executor.room = 1
        assert (await play(pool, shaky_task(), "win"))[-1].success
        assert len(pool.processes) == 1


async def test_a_pool_without_room_for_a_single_worker_says_so(shaky_installed):
    executor = Cramped(1)
    async with EnvironmentPool(1, executor=executor) as pool:
        environment = await pool.open(shaky_task())
        await environment.reset()
        executor.room = 0
        await kill_worker_of(environment)
        with pytest.raises(RunError, match="no room"):
            await pool.open(shaky_task())
    with pytest.raises(RunError, match="no room"):
        await EnvironmentPool(3, executor=Cramped(2)).start()


async def test_a_crash_is_a_fault_that_says_how_the_worker_ended(shaky_installed):
    async with EnvironmentPool(1, timeout_s=30) as pool:
        with pytest.raises(EnvironmentFault, match="exit code 3"):
            await play(pool, shaky_task(), "crash")


async def test_a_hung_step_is_cut_off_and_its_worker_replaced(shaky_installed):
    async with EnvironmentPool(1, timeout_s=4.0) as pool:
        environment = await pool.open(shaky_task())
        await environment.reset()
        (pid,) = pool.processes
        with pytest.raises(EnvironmentFault, match=r"'step' within 4 s"):
            await environment.step("spin")
        await environment.close()
        assert wait_until_gone([pid]) == []
        assert (await play(pool, shaky_task(), "win"))[-1].success


@pytest.mark.parametrize(
    ("action", "cause"),
    [("raise", "RuntimeError: the simulator is confused"), ("unpicklable", "pickle")],
)
async def test_an_exception_is_a_fault_with_its_cause_and_the_worker_lives(
    shaky_installed, action, cause
):
    async with EnvironmentPool(1) as pool:
        with pytest.raises(EnvironmentFault, match=cause):
            await play(pool, shaky_task(), action)
        with pytest.raises(EnvironmentFault, match="ValueError: the file is empty"):
            await play(pool, shaky_task(1, unreadable="yes"))
        with pytest.raises(EnvironmentFault, match="the expert is lost"):
            await pool.expert(shaky_task(1))
        assert (await play(pool, shaky_task(), "win"))[-1].success
        assert pool.restarts == 0


async def test_closed_environments_are_freed_in_the_worker(shaky_installed):
    async with EnvironmentPool(1) as pool:
        held = await pool.open(shaky_task())
        await held.reset()
        for _ in range(20):
            await play(pool, shaky_task(), "wait")
        with pytest.raises(EnvironmentFault):
            await play(pool, shaky_task(), "raise")
        assert pool.environments == 1
        assert (await held.step("wait")).info["open"] == 1
        await held.close()
        await held.close()
        assert pool.environments == 0


async def test_closing_does_not_wait_for_a_worker_that_is_busy(shaky_installed):
    pool = EnvironmentPool(1)
    await pool.start()
    environment = await pool.open(shaky_task())
    await environment.reset()
    step = asyncio.create_task(environment.step("hang"))
    await asyncio.sleep(0.1)
    step.cancel()
    pids = pool.processes
    started = time.monotonic()
    await environment.close()
    assert time.monotonic() - started < 0.5
    await pool.close()
    await pool.close()
    assert time.monotonic() - started < 5
    assert wait_until_gone(pids) == []
    with pytest.raises(EnvironmentFault, match="closed"):
        await pool.open(shaky_task())


PARENT = """
import asyncio
from metaplan.core import Task
from metaplan.episodes import EnvironmentPool
from metaplan.episodes.executors import LocalExecutor
from metaplan.episodes.executors.process import FRAME_HEADER, serve

async def main():
    async with EnvironmentPool(2) as pool:
        for number in range(2):
            task = Task(key=f"k{number}", benchmark="shaky", task_set="all", task_type="one")
            environment = await pool.open(task)
            await environment.reset()
            asyncio.create_task(environment.step(%r))
        await asyncio.sleep(0.1)
        print(*pool.processes, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("end", "action"),
    [
        (signal.SIGKILL, "wait"),
        (signal.SIGKILL, "spin"),
        (signal.SIGINT, "spin"),
        (signal.SIGTERM, "wait"),
    ],
)
def test_no_worker_outlives_its_parent(shaky_installed, end, action):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT % action],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    if end is signal.SIGINT:
        os.killpg(parent.pid, end)  # Ctrl-C goes to all processes of the terminal
    else:
        parent.send_signal(end)
    parent.wait(timeout=20)
    parent.stdout.close()
    assert wait_until_gone(pids) == []


def test_a_worker_whose_parent_is_gone_ends_without_a_word():
    here, there = socket.socketpair()
    request = pickle.dumps((1, "describe", (shaky_task(),)))
    here.sendall(FRAME_HEADER.pack(len(request)) + request)
    here.close()
    serve(there.detach())  # its reply finds nobody
