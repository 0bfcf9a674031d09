"""What Ray costs per step against worker processes of this machine, and what a lost node costs.

    python benchmarks/ray_cluster.py steps [--steps 2000]
    python benchmarks/ray_cluster.py loss [--tasks 40]

`steps` plays a benchmark that answers at once (`instant_benchmark.py`) with two workers, by both
executors in turn, twice. `loss` plays household episodes with the plan follower on a cluster of
three nodes that are all this machine, takes two of them away in mid-run, and compares every episode
with the local executor's. Exit code 1 if one is lost, doubled, or other.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from instant_benchmark import installed

from metaplan.agents import Agent, PromptProfile
from metaplan.core import Episode, EpisodeSpec
from metaplan.environments import get_benchmark
from metaplan.episodes import EnvironmentPool, EpisodeRunner, RetryPolicy, RunStore
from metaplan.episodes.executors import Executor, LocalExecutor, RayExecutor, RaySettings
from metaplan.models import PlanFollower, Sampling

WORKERS = 2
IN_FLIGHT = 16
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


async def measure_steps(name: str, connect: Callable[[], Executor], steps: int) -> None:
    """Prints a row: start, one step at a time, and many episodes at a time."""
    began = time.monotonic()
    async with EnvironmentPool(WORKERS, executor=await connect()) as pool:
        start_s = time.monotonic() - began
        tasks = get_benchmark("instant").tasks("all")[:IN_FLIGHT]
        environments = [await pool.open(task) for task in tasks]
        await asyncio.gather(*(environment.reset() for environment in environments))

        async def play(environment: object, count: int) -> None:
            for _ in range(count):
                await environment.step("look")

        began = time.monotonic()
        await play(environments[0], steps)
        each_s = (time.monotonic() - began) / steps

        began, cpu, loop = time.monotonic(), time.process_time(), time.thread_time()
        await asyncio.gather(*(play(each, steps // 4) for each in environments))
        done = steps // 4 * IN_FLIGHT
        rate = done / (time.monotonic() - began)
        cpu_s, loop_s = (time.process_time() - cpu) / done, (time.thread_time() - loop) / done
    print(
        f"| {name} | {start_s:.1f} | {each_s * 1e6:.0f} | {rate:.0f} | {cpu_s * 1e6:.0f} "
        f"| {loop_s * 1e6:.0f} |",
        flush=True,
    )


async def compare_steps(steps: int) -> None:
    """Both executors in turn."""

    async def local() -> LocalExecutor:
        return LocalExecutor()

    async def ray() -> RayExecutor:
        return await RayExecutor.connect(RaySettings())

    print(
        "| executor | start, s | µs a step, one at a time | steps/s, 16 episodes "
        "| driver's CPU, µs a step | of it the loop's thread |\n|---|---|---|---|---|---|"
    )
    for _ in range(2):
        await measure_steps("local", local, steps)
        await measure_steps("ray", ray, steps)


async def play(
    directory: Path, executor: Executor, tasks: int, on_episode: Callable[[Episode], None]
) -> tuple[list[Episode], float]:
    """Finished episodes in the order of the plan, and seconds of play."""
    sampling = Sampling(temperature=0.7, max_tokens=64)
    agent = Agent(model=PlanFollower(), sampling=sampling, profile=PromptProfile.COMPACT)
    benchmark = get_benchmark("household")
    specs = [
        EpisodeSpec(
            task=task,
            environment="e",
            plan=None,
            placement=None,
            agent=agent.fingerprint,
            repetition=repetition,
        )
        for task in benchmark.tasks("train")[:tasks]
        for repetition in range(10)
    ]
    with RunStore(directory) as store:
        async with EnvironmentPool(3, executor=executor) as pool:
            runner = EpisodeRunner(
                store=store,
                pool=pool,
                agent=agent,
                benchmark=benchmark,
                retry=RetryPolicy(first_wait_s=0.1),
                concurrency=IN_FLIGHT,
            )
            began = time.monotonic()
            await runner.run(specs, purpose="explore", on_episode=on_episode)
            seconds = time.monotonic() - began
        assert store.finished_keys() == {spec.key for spec in specs}
        return list(store.episodes(spec.key for spec in specs)), seconds


async def lose_nodes(directory: Path, tasks: int) -> bool:
    """Whether everything is as without a loss."""
    from ray.cluster_utils import Cluster

    expected, local_s = await play(directory / "local", LocalExecutor(), tasks, lambda _: None)
    cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
    doomed = [cluster.add_node(**NODE) for _ in range(2)]
    finished, void = 0, 0

    def on_episode(episode: Episode) -> None:
        nonlocal finished, void
        if episode.stop_reason.is_void:
            void += 1
            return
        finished += 1
        if finished in (len(expected) // 4, len(expected) // 2):
            remover = threading.Thread(target=cluster.remove_node, args=(doomed.pop(), False))
            remover.start()
            remover.join()

    settings = RaySettings(address=cluster.address, cpus_per_worker=1.0)
    executor = await RayExecutor.connect(settings)
    far, ray_s = await play(directory / "ray", executor, tasks, on_episode)
    cluster.shutdown()
    other = sum(
        (one.key, one.reward, one.turns) != (two.key, two.reward, two.turns)
        for one, two in zip(expected, far, strict=True)
    )
    print("| episodes | nodes lost | void attempts | other episodes | local, s | ray, s |")
    print("|---|---|---|---|---|---|")
    print(f"| {len(far)} | 2 of 3 | {void} | {other} | {local_s:.1f} | {ray_s:.1f} |")
    return len(far) == len(expected) and other == 0


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["steps", "loss"])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--tasks", type=int, default=40)
    arguments = parser.parse_args()
    if arguments.what == "steps":
        with installed():
            asyncio.run(compare_steps(arguments.steps))
    else:
        with tempfile.TemporaryDirectory() as directory:
            if not asyncio.run(lose_nodes(Path(directory), arguments.tasks)):
                sys.exit(1)


if __name__ == "__main__":
    main()
