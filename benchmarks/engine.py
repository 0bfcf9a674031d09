"""How much of a model server's capacity the engine uses, and what it costs.

    python benchmarks/engine.py scripted|alfworld|scienceworld [--capacities 32,64,128,256]
    python benchmarks/engine.py reference
    python benchmarks/engine.py endpoints

`simulated_server.py` plays the model server, in a process of its own. *Possible* is what it can do:
its slots divided by the mean service time, which is the same as all slots busy all the time.
*Full load* is the time from 5 s after the first episode begins (start-up: workers load games, the
limit of requests under way grows) until the last one has begun (then the work runs out); *whole
run* is from the first begin to the last end. *Cores* are those that harness, workers and server
kept busy; *cores of others* say how much the machine had to do besides.

`scripted` has environments that answer at once, in worker processes; `alfworld` and `scienceworld`
are the benchmarks, with the data directory that METAPLAN_DATA names. `reference` is the way of the
original repository: 25 processes, each of which plays one episode after the other. `endpoints` has
two servers and shows what it is worth that equal openings go to the same one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from unittest.mock import patch

from instant_benchmark import installed
from simulated_server import Load, Served, SimulatedServer, simulated_server

from metaplan.agents import Agent
from metaplan.core import EpisodeSpec, MetaPlan, Placement
from metaplan.environments import Benchmark, get_benchmark
from metaplan.episodes import EnvironmentPool, EpisodeRunner, RetryPolicy, RunStore
from metaplan.models import Sampling, ServedModel, ServedSettings
from metaplan.models.served.balancing import Balancer

TURNS = 20
REPETITIONS = 5
START_S = 5.0
MEAN_SERVICE_S = 0.68  # about: for how many episodes fill the time
TASK_SETS = {"instant": "all", "alfworld": "valid_unseen", "scienceworld": "dev"}
REPLIES = {"instant": "look", "alfworld": "alfworld", "scienceworld": "scienceworld"}
IN_FLIGHT = {"instant": 2, "alfworld": 2, "scienceworld": 4}  # for each slot: who waits for JVMs
PROCESSES = 25
JVMS = 12  # of the stock ScienceWorld: what fits into memory
CROWDED_CACHE = 50_000  # tokens: 64 conversations and their openings just fit
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Outcome:
    """What one experiment showed; `full` is the beginning and end of full load, in Unix time."""

    wall: tuple[float, float]
    full: tuple[float, float]
    turns: int
    harness_cpu_s: float
    workers_cpu_s: float
    workers_mb: float
    machine_cpu_s: float
    served: list[Served]

    @property
    def lasted_s(self) -> float:
        """From the first begin to the last end."""
        return self.wall[1] - self.wall[0]

    @property
    def rate(self) -> float:
        """Turns per second of the whole run."""
        return self.turns / self.lasted_s


def descendants(pid: int) -> list[int]:
    """A process and those that it and they started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def cpu_s(pids: Sequence[int]) -> float:
    """CPU seconds of processes so far, with those that they started."""
    ticks = 0
    for pid in (one for root in pids for one in descendants(root)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S


def memory_mb(pids: Sequence[int]) -> float:
    """Resident memory of processes, with those that they started."""
    page = os.sysconf("SC_PAGE_SIZE")
    every = (one for root in pids for one in descendants(root))
    return sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in every) * page / 1e6


def machine_cpu_s() -> float:
    """CPU seconds that all processes of this machine have used so far."""
    fields = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle, waiting = fields[3:5]
    return (sum(fields) - idle - waiting) / _TICKS_PER_S


def planned(benchmark: Benchmark, episodes: int) -> list[EpisodeSpec]:
    """Five episodes of each task and plan, together."""
    tasks = benchmark.tasks(TASK_SETS[benchmark.name])
    specs = []
    for group in range(-(-episodes // REPETITIONS)):
        task = tasks[group % len(tasks)]
        plan = MetaPlan(
            steps=(
                f"Look for the object of try {group // len(tasks)} where it may be.",
                "Take it from there.",
                "Go to where it has to be treated, and treat it as the task says.",
                "Go to the place where it belongs.",
                "Put it there and make sure that the task is done.",
            )
        )
        specs += [
            EpisodeSpec(
                task=task, environment="e", plan=plan, placement=Placement.INSTRUCTION,
                agent="simulated", repetition=repetition,
            )
            for repetition in range(REPETITIONS)
        ]  # fmt: skip
    return specs[:episodes]


async def play(
    name: str, servers: Sequence[SimulatedServer], episodes: int, in_flight: int
) -> Outcome:
    """Plays episodes against servers."""
    benchmark = replace(get_benchmark(name), step_limit=lambda _: TURNS)
    urls = tuple(server.url for server in servers)
    model = ServedModel(ServedSettings(model="simulated", urls=urls))
    agent = Agent(model=model, sampling=Sampling(temperature=0.7))
    specs = planned(benchmark, episodes)
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as directory, RunStore(Path(directory)) as store:
        async with EnvironmentPool(os.cpu_count() or 1) as pool:
            runner = EpisodeRunner(
                store=store, pool=pool, agent=agent, benchmark=benchmark, retry=RetryPolicy(),
                concurrency=in_flight,
            )  # fmt: skip
            begun, cpu = time.time(), time.process_time()
            workers, machine = cpu_s(pool.processes), machine_cpu_s()
            done = await runner.run(
                specs, purpose="explore", on_episode=lambda _: ends.append(time.time())
            )
            cpu = time.process_time() - cpu
            workers, machine = cpu_s(pool.processes) - workers, machine_cpu_s() - machine
            workers_mb = memory_mb(pool.processes)
        await model.close()
        if done.void:
            sys.exit(f"{len(done.void)} episodes came to nothing")
        turns = sum(len(one.turns) for one in store.episodes(spec.key for spec in specs))
    return Outcome(
        wall=(begun, ends[-1]),
        full=(begun + START_S, ends[max(episodes - in_flight, 0)]),
        turns=turns,
        harness_cpu_s=cpu,
        workers_cpu_s=workers,
        workers_mb=workers_mb,
        machine_cpu_s=machine,
        served=[server.served() for server in servers],
    )


def used(served: Sequence[Served], capacity: int, phase: tuple[float, float]) -> float:
    """Achieved ÷ possible: the share of the slots' time that was spent serving."""
    begin, end = phase
    busy = sum(
        max(min(ended, end) - max(began, begin), 0.0)
        for one in served
        for began, ended in one.spans
    )
    return busy / (capacity * len(served) * (end - begin))


def measure(name: str, capacities: Sequence[int], seconds: float) -> None:
    """One line for each capacity of the server."""
    print(
        "| slots | in flight | episodes | turns/s | full load | whole run | harness ms/turn "
        "| workers ms/turn | server ms/turn | cores | cores of others | harness MB | workers MB |"
    )
    print("|---" * 13 + "|", flush=True)
    for capacity in capacities:
        in_flight = IN_FLIGHT[name] * capacity
        with simulated_server(Load(capacity=capacity, replies=REPLIES[name])) as server:
            episodes = enough(capacity, in_flight, seconds)
            outcome = asyncio.run(play(name, [server], episodes, in_flight))
        (served,) = outcome.served
        cpus = outcome.harness_cpu_s, outcome.workers_cpu_s, served.cpu_s
        per_turn = " | ".join(f"{1000 * cpu / outcome.turns:.2f}" for cpu in cpus)
        cores = sum(cpus) / outcome.lasted_s
        others = outcome.machine_cpu_s / outcome.lasted_s - cores
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(
            f"| {capacity} | {in_flight} | {episodes} | {outcome.rate:.0f} "
            f"| **{used([served], capacity, outcome.full):.3f}** "
            f"| {used([served], capacity, outcome.wall):.3f} | {per_turn} "
            f"| {cores:.2f} | {others:.2f} | {memory:.0f} | {outcome.workers_mb:.0f} |",
            flush=True,
        )


def enough(slots: int, in_flight: int, seconds: float) -> int:
    """How many episodes keep so many slots busy for a time, with those that end it."""
    return int(slots / MEAN_SERVICE_S * (seconds + START_S) / TURNS) + in_flight


def measure_endpoints(seconds: float) -> None:
    """Two servers, with what requests are kept together by: nothing, conversation, opening."""
    print("| kept together | prompt tokens read anew | mean service s | turns/s | full load |")
    print("|---|---|---|---|---|", flush=True)
    load = Load(capacity=32, cache_tokens=CROWDED_CACHE, read_tokens_per_s=2_000)
    turn = Balancer.turn
    for kept, names in (("nothing", 0), ("conversations", 1), ("and equal openings", 2)):
        with (
            simulated_server(load) as first,
            simulated_server(load) as second,
            # The names begin with the conversation; to leave some out is the ablation.
            patch.object(Balancer, "turn", lambda self, *all_, n=names: turn(self, *all_[:n])),
        ):
            episodes = enough(2 * load.capacity, 128, seconds)
            outcome = asyncio.run(play("instant", [first, second], episodes, 128))
        tokens = sum(one.prompt_tokens for one in outcome.served)
        anew = 1 - sum(one.cached_tokens for one in outcome.served) / tokens
        service_s = fmean(end - begin for one in outcome.served for begin, end in one.spans)
        share = used(outcome.served, load.capacity, outcome.full)
        print(
            f"| {kept} | {anew:.1%} | {service_s:.3f} | {outcome.rate:.1f} | {share:.3f} |",
            flush=True,
        )


def measure_reference(seconds: float) -> None:
    """One line for each way of the sequential processes."""
    print("| way | processes | turns/s | achieved ÷ possible | client CPU ms/turn | memory MB |")
    print("|---|---|---|---|---|---|")
    for environment, processes in (
        ("instant", PROCESSES),
        ("alfworld", PROCESSES),
        ("alfworld-stock", PROCESSES),
        ("scienceworld-stock", JVMS),
    ):
        name = environment.partition("-")[0]
        get_benchmark(name).tasks(TASK_SETS[name])  # or says which data is missing
        replies = REPLIES[name]
        with simulated_server(Load(replies=replies)) as server:
            print(reference_row(environment, processes, server, seconds), flush=True)


def reference_row(environment: str, processes: int, server: SimulatedServer, seconds: float) -> str:
    """Lets so many processes play for a time."""
    script = str(Path(__file__).with_name("sequential_reference.py"))
    with ExitStack() as stack:
        players = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, script, environment, server.url, str(at), str(processes)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )
            )
            for at in range(processes)
        ]  # fmt: skip
        for one in players:
            assert one.stdout is not None
            one.stdout.readline()
        pids = [one.pid for one in players]
        for one in players:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        time.sleep(2 * START_S)
        server.served()
        begun, cpu = time.time(), cpu_s(pids)
        time.sleep(seconds)
        ended, served = time.time(), server.served()
        cpu, memory = cpu_s(pids) - cpu, memory_mb(pids)
        for one in players:
            one.communicate()
    turns = sum(begun <= end < ended for _, end in served.spans)
    share = used([served], Load().capacity, (begun, ended))
    return (
        f"| {environment} | {processes} | {turns / (ended - begun):.1f} | **{share:.3f}** "
        f"| {1000 * cpu / max(turns, 1):.1f} | {memory:.0f} |"
    )


def main() -> None:
    """Runs one experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "what", choices=["scripted", "alfworld", "scienceworld", "reference", "endpoints"]
    )
    parser.add_argument("--capacities", default="32,64,128,256")
    parser.add_argument("--seconds", type=float, default=25.0, help="of full load, about")
    arguments = parser.parse_args()
    capacities = [int(one) for one in arguments.capacities.split(",")]
    with installed():
        if arguments.what == "reference":
            measure_reference(arguments.seconds)
        elif arguments.what == "endpoints":
            measure_endpoints(arguments.seconds)
        else:
            name = "instant" if arguments.what == "scripted" else arguments.what
            measure(name, capacities, arguments.seconds)


if __name__ == "__main__":
    main()
