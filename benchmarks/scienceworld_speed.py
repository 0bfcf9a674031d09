"""CPU of a ScienceWorld episode: ours against the package's own environment, in one run.

    python benchmarks/scienceworld_speed.py [TASKS]

Every task is played for 20 steps, by the same actions: random ones of those that the simulator
calls valid, drawn before the clock starts. CPU is that of this process and of the JVM together.
Both sides are warmed up first, since a JVM compiles while it runs; the cold numbers are shown too.
Our steps do less, so that it takes more of them until the JVM has compiled what matters.
Then the memory of our JVM with 1, 4 and 16 worlds that take turns.
"""

import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scienceworld import ScienceWorldEnv

from metaplan.environments import get_benchmark
from metaplan.environments.scienceworld.environment import LoadedExperiment
from metaplan.environments.scienceworld.simulator import JAVA_OPTIONS, simplifications
from metaplan.environments.scienceworld.simulators import SIMULATORS

STEPS = 20
WARM_UP_EPISODES = {"metaplan": 120, "stock": 20}
WORLDS = (1, 4, 16)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_ms(jvm: int) -> float:
    """CPU milliseconds spent by this process and a JVM so far."""
    fields = Path(f"/proc/{jvm}/stat").read_text().rpartition(")")[2].split()
    return (time.process_time() + (int(fields[11]) + int(fields[12])) / _TICKS_PER_S) * 1000


def memory_mb(jvm: int) -> float:
    """Resident memory of a JVM."""
    pages = int(Path(f"/proc/{jvm}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Clock:
    """CPU milliseconds by part; parts are shorter than a tick, so sums are what counts."""

    def __init__(self, jvm: int) -> None:
        self._jvm = jvm
        self.spent: dict[str, float] = defaultdict(float)

    def __call__(self, part: str, work: Callable[..., Any], *args: Any) -> Any:
        begun = cpu_ms(self._jvm)
        result = work(*args)
        self.spent[part] += cpu_ms(self._jvm) - begun
        return result


def draw_actions(env: ScienceWorldEnv, name: str, variation: int, seed: int) -> list[str]:
    """Valid actions of a random walk that neither focuses nor resets."""
    rng = random.Random(seed)
    env.load(name, variation, simplifications(name))
    env.server.reset()
    actions = []
    for step in range(STEPS):
        valid = [
            action
            for action in sorted(env.get_valid_action_object_combinations())
            if not action.startswith(("focus", "reset"))
        ]
        going = [action for action in valid if action.startswith("teleport")]
        actions.append(rng.choice(going if step % 5 == 0 and going else valid))
        env.server.step(actions[-1])
    return actions


def play_ours(clock: Clock, name: str, variation: int, actions: list[str]) -> None:
    environment = LoadedExperiment(name, variation).make()
    clock("load and reset", environment.reset)
    for action in actions:
        clock("20 steps", environment.step, action)
    environment.close()


def play_stock(
    clock: Clock, env: ScienceWorldEnv, name: str, variation: int, actions: list
) -> None:
    clock("load and reset", env.load, name, variation, simplifications(name))
    clock("load and reset", env.reset)
    for action in actions:
        clock("20 steps", env.step, action)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    by_type: dict[str, list[int]] = defaultdict(list)
    for task in get_benchmark("scienceworld").tasks("test"):
        by_type[task.task_type].append(int(task.source["variation"]))
    rng = random.Random(0)
    tasks = [(name, rng.choice(by_type[name])) for name in sorted(by_type)]
    tasks = (tasks * (count // len(tasks) + 1))[:count]

    SIMULATORS.stop()
    begun = time.monotonic()
    jvm = SIMULATORS.engine.pid
    start_s, start_cpu_ms = time.monotonic() - begun, cpu_ms(jvm) - time.process_time() * 1000
    env = ScienceWorldEnv("", envStepLimit=10**9)
    stock_jvm = env._gateway.java_process.pid
    walks = [(name, variation, draw_actions(env, name, variation, 1)) for name, variation in tasks]
    idle_mb = memory_mb(jvm)

    rows: dict[str, dict[str, float]] = {}
    for phase in ("cold", "warm"):
        ours, stock = Clock(jvm), Clock(stock_jvm)
        if phase == "warm":
            for index in range(WARM_UP_EPISODES["metaplan"]):
                play_ours(Clock(jvm), *walks[index % len(walks)])
            for index in range(WARM_UP_EPISODES["stock"]):
                play_stock(Clock(stock_jvm), env, *walks[index % len(walks)])
        episodes = walks[:5] if phase == "cold" else walks
        for walk in episodes:
            play_ours(ours, *walk)
        for walk in episodes:
            play_stock(stock, env, *walk)
        for part in ("load and reset", "20 steps"):
            rows[f"{part}, {phase}"] = {
                "metaplan": ours.spent[part] / len(episodes),
                "stock": stock.spent[part] / len(episodes),
            }
    for phase in ("cold", "warm"):
        parts = [rows[f"{part}, {phase}"] for part in ("load and reset", "20 steps")]
        rows[f"episode, {phase}"] = {
            side: sum(part[side] for part in parts) for side in ("metaplan", "stock")
        }
    print(f"{len(walks)} tasks, {STEPS} steps each; CPU ms an episode, Python and JVM together\n")
    print(f"{'':<24}{'metaplan':>10}{'stock':>10}{'ratio':>8}")
    for label, row in rows.items():
        print(
            f"{label:<24}{row['metaplan']:>10.1f}{row['stock']:>10.1f}"
            f"{row['stock'] / row['metaplan']:>8.1f}"
        )
    print(f"\nour JVM: started in {start_s:.1f} s, {start_cpu_ms / 1000:.1f} s CPU")
    env.close()
    report_memory(jvm, idle_mb, walks)


def report_memory(jvm: int, idle_mb: float, walks: list[tuple[str, int, list[str]]]) -> None:
    """Plays worlds by turns in fresh JVMs and prints what memory they take."""
    print(f"memory with {' '.join(JAVA_OPTIONS)}: after the start {idle_mb:.0f} MB")
    for worlds in WORLDS:
        SIMULATORS.stop()
        jvm = SIMULATORS.engine.pid
        begun = time.monotonic()
        peak = 0.0
        for _ in range(max(1, 16 // worlds)):
            environments = [
                LoadedExperiment(*walks[i % len(walks)][:2]).make() for i in range(worlds)
            ]
            for environment in environments:
                environment.reset()
            for step in range(STEPS):
                for index, environment in enumerate(environments):
                    environment.step(walks[index % len(walks)][2][step])
            peak = max(peak, memory_mb(jvm))
            for environment in environments:
                environment.close()
        print(
            f"{worlds:>4} worlds: {peak:.0f} MB, {time.monotonic() - begun:.1f} s for 16 episodes"
        )
    SIMULATORS.stop()


if __name__ == "__main__":
    main()
