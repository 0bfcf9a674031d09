"""Environment workers as Ray actors: a cluster of several nodes that are all this machine."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from processes import descendants, running, wait_until_gone

from metaplan import load_recipe
from metaplan.agents import Agent, PromptProfile
from metaplan.core import (
    ConfigError,
    EnvironmentFault,
    EpisodeCancelled,
    EpisodeSpec,
    MetaPlan,
    MissingDependencyError,
    Placement,
    RunError,
    Task,
)
from metaplan.environments import get_benchmark
from metaplan.episodes import EnvironmentPool, EpisodeRunner, RetryPolicy, RunStore
from metaplan.episodes.executors import LocalExecutor, RayExecutor, RaySettings
from metaplan.models import PlanFollower, Sampling
from metaplan.runs import Run

pytest.importorskip("ray", reason="Ray is not installed: pip install 'metaplan[ray]'")

NODE = {"object_store_memory": 80 * 2**20}
PLANS = (None, MetaPlan(steps=("Look at likely places for the object.", "Take it away.")))


@pytest.fixture(scope="module")
def cluster():
    """A head node with two CPUs."""
    from ray.cluster_utils import Cluster

    head = NODE | {"num_cpus": 2, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def connect(cluster):
    """Joins the cluster."""

    async def join(**more):
        settings = RaySettings(address=cluster.address, **{"start_timeout_s": 60.0} | more)
        return await RayExecutor.connect(settings)

    return join


def shaky_task(number: int = 0) -> Task:
    return Task(key=f"shaky/all/{number}", benchmark="shaky", task_set="all", task_type="one")


def environment_actors() -> set[int]:
    found = set()
    for pid in running():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
            if title(pid).startswith("ray::EnvironmentActor"):
                found.add(pid)
    return found


def title(pid: int) -> str:
    """What a process of Ray calls itself."""
    return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0 ")


async def play_household(directory, executor, workers, on_episode=None):
    """The finished episodes of some household tasks, the attempts that were not, and the pool."""
    agent = Agent(
        model=PlanFollower(),
        sampling=Sampling(temperature=0.7, max_tokens=64),
        profile=PromptProfile.COMPACT,
    )
    benchmark = get_benchmark("household")
    specs = [
        EpisodeSpec(
            task=task,
            environment="e",
            plan=plan,
            placement=Placement.INSTRUCTION if plan else None,
            agent=agent.fingerprint,
            repetition=repetition,
        )
        for task in benchmark.tasks("train")[:8]
        for plan in PLANS
        for repetition in range(3)
    ]
    pool = EnvironmentPool(workers, timeout_s=30, executor=executor)
    void = []

    def note(episode):
        if episode.stop_reason.is_void:
            void.append(episode)
        elif on_episode is not None:
            on_episode()

    with RunStore(directory) as store:
        async with pool:
            runner = EpisodeRunner(
                store=store,
                pool=pool,
                agent=agent,
                benchmark=benchmark,
                retry=RetryPolicy(attempts=4, first_wait_s=0.1),
                concurrency=16,
            )
            done = await runner.run(specs, purpose="explore", on_episode=note)
        assert done.planned == len(store.finished_keys()) == len(specs)
        return list(store.episodes(spec.key for spec in specs)), void, pool


def what_counts(episodes):
    return [(e.key, e.reward, e.success, e.stop_reason, e.turns) for e in episodes]


async def begin(pool, number):
    environment = await pool.open(shaky_task(number))
    await environment.reset()
    return environment


async def test_faults_of_workers_are_those_of_the_local_executor(connect, shaky_installed):
    async with EnvironmentPool(1, timeout_s=3.0, executor=await connect()) as pool:
        environment = await begin(pool, 0)
        with pytest.raises(EnvironmentFault, match="RuntimeError: the simulator is confused"):
            await environment.step("raise")
        first = (await environment.step("wait")).info["pid"]
        assert pool.processes == [first]  # it lives

        neighbour = await begin(pool, 1)
        with pytest.raises(EnvironmentFault, match=r"'step' within 3 s"):
            await environment.step("spin")
        with pytest.raises(EpisodeCancelled, match="hung, busy with another episode"):
            await neighbour.step("wait")
        assert wait_until_gone([first]) == []

        environment = await begin(pool, 0)
        (second,) = pool.processes
        with pytest.raises(EnvironmentFault, match="worker died"):
            await environment.step("crash")
        environment = await begin(pool, 0)
        (third,) = pool.processes
        os.kill(third, signal.SIGINT)  # Ctrl-C
        assert (await environment.step("win")).success
        os.kill(third, signal.SIGKILL)
        with pytest.raises(EnvironmentFault, match="worker died"):
            await environment.step("wait")
        assert (await (await begin(pool, 0)).step("win")).success
        assert pool.restarts == 3
        assert len({first, second, third, *pool.processes}) == 4


async def test_closing_does_not_wait_for_a_worker_that_is_busy(connect, shaky_installed):
    pool = EnvironmentPool(1, executor=await connect())
    await pool.start()
    environment = await begin(pool, 0)
    step = asyncio.create_task(environment.step("hang"))
    await asyncio.sleep(0.2)
    step.cancel()
    pids = pool.processes
    await environment.close()
    started = time.monotonic()
    await pool.close()
    await pool.close()
    assert time.monotonic() - started < 5
    assert wait_until_gone(pids) == []


async def test_the_loop_goes_on_while_a_worker_waits_for_its_place(connect):
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.02)
            ticks += 1

    executor = await connect(cpus_per_worker=64, start_timeout_s=2.0)
    ticking = asyncio.create_task(tick())
    with pytest.raises(RunError) as refused:
        async with EnvironmentPool(2, executor=executor):
            pass
    ticking.cancel()
    assert ticks > 40
    message = str(refused.value)
    assert "no place for an environment worker within 2 s: it asks for 64 CPU" in message
    assert "the cluster has 2 CPU (2 free; nodes: 1)" in message
    assert "runtime.workers" in message
    assert "runtime.ray.cpus_per_worker" in message


async def test_places_that_are_taken_are_told(connect):
    first, second = await connect(cpus_per_worker=1.0), await connect(start_timeout_s=2.0)
    async with EnvironmentPool(await first.cores(), executor=first):
        with pytest.raises(RunError, match=r"asks for 0.5 CPU .*\(0 free"):
            async with EnvironmentPool(1, executor=second):
                pass


async def test_a_node_with_another_version_is_refused(connect, monkeypatch):
    monkeypatch.setattr("metaplan.episodes.executors.actor.__version__", "9.9")
    executor = await connect()
    with pytest.raises(RunError, match=r"other versions or data .*metaplan 9.9, there \d"):
        async with EnvironmentPool(1, executor=executor):
            pass


async def test_a_node_that_lacks_the_benchmark_is_refused(cluster, shaky_package, monkeypatch):
    monkeypatch.syspath_prepend(str(shaky_package))  # of this process alone
    executor = await RayExecutor.connect(
        RaySettings(address=cluster.address), benchmark="shaky", task_sets=["all"]
    )
    with pytest.raises(RunError, match=r"the node \d.* can't play: no benchmark is called 'shaky'"):
        async with EnvironmentPool(1, executor=executor):
            pass


async def test_a_cluster_with_another_version_of_python_is_refused(cluster, monkeypatch):
    monkeypatch.setattr("ray._private.utils.compute_version_info", lambda: ("2.0", "3.7.0"))
    with pytest.raises(RunError, match=r"(?s)can't be used: Version mismatch.*Python: 3.7.0"):
        await RayExecutor.connect(RaySettings(address=cluster.address))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "the Ray cluster at 127.0.0.1:1 can't be reached .*host:port"),
        ("no-such-host.invalid:6379", "no-such-host.invalid:6379 can't be reached"),
        ("no-such-host", "no-such-host"),
        ("head:port", "head:port can't be reached"),
    ],
)
async def test_an_address_where_nobody_listens_is_told_at_once(address, message):
    started = time.monotonic()
    with pytest.raises(RunError, match=message):
        await RayExecutor.connect(RaySettings(address=address))
    assert time.monotonic() - started < 20


async def test_without_ray_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'metaplan\[ray\]'"):
        await RayExecutor.connect(RaySettings())


def test_an_address_of_rays_client_is_refused(tiny_recipe):
    with pytest.raises(ConfigError, match=r"runtime.ray.address.*give the head node as host:port"):
        load_recipe(tiny_recipe, ["runtime.ray.address=ray://head:10001"])


LOCAL = """
import asyncio, os, signal
from metaplan.core import Task
from metaplan.episodes import EnvironmentPool
from metaplan.episodes.executors import RayExecutor, RaySettings

async def main():
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    executor = await RayExecutor.connect(RaySettings())
    async with EnvironmentPool(2, executor=executor) as pool:
        task = Task(key="k", benchmark="shaky", task_set="all", task_type="one")
        environment = await pool.open(task)
        await environment.reset()
        print(*pool.processes, flush=True)
        if ACTION == "spin":
            await environment.step("spin")
        await asked.wait()
        await asyncio.sleep(1)
        print((await environment.step("win")).success)

asyncio.run(main())
"""


def start_local_ray(action: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A program that starts Ray, and all processes of it."""
    program = subprocess.Popen(
        [sys.executable, "-c", LOCAL.replace("ACTION", repr(action))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    workers = {int(pid) for pid in program.stdout.readline().split()}
    family = descendants(program.pid)
    assert len(workers) == 2
    assert workers < set(family)
    return program, family


def test_signals_to_all_processes_are_for_the_program_alone(shaky_installed, monkeypatch):
    """A terminal and a cluster's scheduler send them so; episodes under way are then finished."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    program, family = start_local_ray("wait")
    os.killpg(program.pid, signal.SIGTERM)
    os.killpg(program.pid, signal.SIGINT)
    output, errors = program.communicate(timeout=60)
    assert (output, errors) == ("True\n", "")  # Ray is quiet, too
    assert program.returncode == 0
    assert wait_until_gone(family, 5) == []


def test_a_ray_that_was_started_here_ends_with_a_program_that_is_killed(
    shaky_installed, monkeypatch
):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    program, family = start_local_ray("spin")
    program.kill()
    program.communicate(timeout=30)
    left = wait_until_gone(family, 5)
    # Two helpers of Ray try for a minute to tell of it.
    assert [pid for pid in left if not title(pid).endswith("Agent")] == []


def test_what_listens_at_the_address_but_is_no_ray_does_not_keep_the_program(
    metaplan_command, tiny_recipe, tmp_path
):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        result = metaplan_command(
            "collect", tiny_recipe, "--out", tmp_path / "run", "--set", "runtime.executor=ray",
            "--set", f"runtime.ray.address={address}", "--set", "runtime.ray.start_timeout_s=2",
        )  # fmt: skip
    assert time.monotonic() - started < 30
    assert result.returncode == 2
    assert f"the Ray cluster at {address} did not answer within 2 s" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_names_its_executor(cluster, tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    config = load_recipe(tiny_recipe, ["runtime.executor=ray", "runtime.workers=null"])
    with Run(config, tmp_path / "run") as run:
        pool = run.wait(run.pool())
        workers = pool.processes
        assert len(workers) == 2  # the CPUs of the cluster
        assert all(title(pid).startswith("ray::EnvironmentActor") for pid in workers)
        task = run.benchmark.tasks("train")[0]
        assert run.wait(pool.describe(task)).instruction
    assert wait_until_gone(workers) == []


async def test_a_node_that_is_lost_costs_no_episode_and_changes_none(cluster, connect, tmp_path):
    expected, *_ = await play_household(tmp_path / "local", LocalExecutor(), 2)
    doomed = cluster.add_node(num_cpus=1, **NODE)
    finished = 0

    def lose_the_node_in_the_middle():
        nonlocal finished
        finished += 1
        if finished == len(expected) // 3:
            lost = threading.Thread(target=cluster.remove_node, args=(doomed, False))
            actors = environment_actors()
            lost.start()
            lost.join()
            deadline = time.monotonic() + 20  # its processes end some time after it
            while environment_actors() == actors and time.monotonic() < deadline:
                time.sleep(0.05)

    executor = await connect(cpus_per_worker=1.0)
    far, void, pool = await play_household(
        tmp_path / "ray", executor, 3, lose_the_node_in_the_middle
    )
    assert what_counts(far) == what_counts(expected)
    assert pool.restarts == 1
    assert {e.cause.removesuffix(", busy with another episode") for e in void} == {
        "the environment worker died (its node was lost)"
    }
