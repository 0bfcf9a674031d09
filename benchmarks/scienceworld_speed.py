"""CPU of a ScienceWorld episode: ours against the package's own environment, in one run.

    python benchmarks/scienceworld_speed.py [TASKS]

Every task is played for 20 steps by the same actions on both sides: those of the expert (padded
with looks around where it needs fewer), and random ones of those that the simulator calls valid,
drawn before the clock starts. CPU is that of this process and of the JVM together. All tasks are
played as often on both sides before the clock starts, since a JVM compiles while it runs; what the
very first round costs is shown too.
Then memory and CPU of our JVM, a fresh one each time, with 1 to 128 worlds that take turns.
"""

import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from scienceworld import ScienceWorldEnv

from metaplan.core import DataError, Task
from metaplan.environments import get_benchmark
from metaplan.environments.scienceworld.environment import LoadedExperiment
from metaplan.environments.scienceworld.simulator import JAVA_OPTIONS, simplifications
from metaplan.environments.scienceworld.simulators import SIMULATORS
from metaplan.environments.scienceworld.task_sets import identify

STEPS = 20
WARM_UP_ROUNDS = 3
WORLDS = (1, 4, 16, 64, 128)
EPISODES = 256
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


def expert_actions(task: Task) -> list[str]:
    """The first steps of the expert."""
    actions = [step.action for step in get_benchmark("scienceworld").expert(task).steps[:STEPS]]
    return actions + ["look around"] * (STEPS - len(actions))


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
    env: ScienceWorldEnv, clock: Clock, name: str, variation: int, actions: list
) -> None:
    clock("load and reset", env.load, name, variation, simplifications(name))
    clock("load and reset", env.reset)
    for action in actions:
        clock("20 steps", env.step, action)


def main() -> None:
    tasks = choose_tasks(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
    SIMULATORS.stop()
    begun = time.monotonic()
    jvm = SIMULATORS.engine.pid
    start_s, start_cpu_ms = time.monotonic() - begun, cpu_ms(jvm) - time.process_time() * 1000
    env = ScienceWorldEnv("", envStepLimit=10**9)
    print(f"{STEPS} steps each; CPU ms an episode, Python and JVM together\n")
    print(f"{'':<42}{'metaplan':>10}{'stock':>10}{'ratio':>8}")
    walks = [(*identify(task), actions) for task, actions in experts(tasks)]
    compare("expert's actions", walks, jvm, env)
    random_walks = [(name, at, draw_actions(env, name, at, 1)) for name, at, _ in walks]
    compare("random valid actions", random_walks, jvm, env)
    print(f"\n{len(walks)} tasks of {len({name for name, *_ in walks})} types")
    clock = Clock(jvm)
    for name, variation, _ in walks:
        play_ours(clock, name, variation - 1, [])
    print(
        f"load and reset, variations new to our JVM: {sum(clock.spent.values()) / len(walks):.1f}"
    )
    print(f"our JVM: started in {start_s:.1f} s, {start_cpu_ms / 1000:.1f} s CPU")
    env.close()
    report_memory(walks)


def choose_tasks(count: int) -> list[Task]:
    """One of each type, in turn."""
    by_type: dict[str, list[Task]] = defaultdict(list)
    for task in get_benchmark("scienceworld").tasks("test"):
        by_type[task.task_type].append(task)
    rng = random.Random(0)
    chosen = [rng.choice(by_type[name]) for name in sorted(by_type)]
    return (chosen * (count // len(chosen) + 1))[:count]


def experts(tasks: list[Task]) -> Iterator[tuple[Task, list[str]]]:
    for task in tasks:
        try:
            yield task, expert_actions(task)
        except DataError as error:
            print(f"left out: {error}", file=sys.stderr)


def compare(label: str, walks: list[tuple[str, int, list[str]]], jvm: int, env: Any) -> None:
    """Prints the rows of one kind of actions."""
    sides: dict[str, tuple[int, Callable[..., None]]] = {
        "metaplan": (jvm, play_ours),
        "stock": (env._gateway.java_process.pid, partial(play_stock, env)),
    }
    rows: dict[str, dict[str, float]] = defaultdict(dict)
    for side, (pid, play) in sides.items():
        for at in range(WARM_UP_ROUNDS + 1):
            clock = Clock(pid)
            for walk in walks:
                play(clock, *walk)
            each = {part: spent / len(walks) for part, spent in clock.spent.items()}
            if at == 0:
                rows["episode, first round"][side] = sum(each.values())
        rows["load and reset"][side] = each["load and reset"]
        rows["20 steps"][side] = each["20 steps"]
        rows["episode"][side] = sum(each.values())
    for part, row in rows.items():
        print(
            f"{label + ': ' + part:<42}{row['metaplan']:>10.1f}{row['stock']:>10.1f}"
            f"{row['stock'] / row['metaplan']:>8.1f}",
            flush=True,
        )


def report_memory(walks: list[tuple[str, int, list[str]]]) -> None:
    """Plays worlds by turns in fresh JVMs; prints what memory and, once warm, CPU they take."""
    print(f"\n{EPISODES} episodes in a fresh JVM with {' '.join(JAVA_OPTIONS)}:")
    print(f"{'worlds at a time':<20}{'memory, MB':>12}{'CPU ms an episode, second half':>34}")
    for worlds in WORLDS:
        SIMULATORS.stop()
        jvm = SIMULATORS.engine.pid
        rounds = EPISODES // worlds
        memory = 0.0
        for at in range(rounds):
            if at == rounds // 2:
                begun = cpu_ms(jvm)
            environments = [
                LoadedExperiment(*walks[i % len(walks)][:2]).make() for i in range(worlds)
            ]
            for environment in environments:
                environment.reset()
            for step in range(STEPS):
                for index, environment in enumerate(environments):
                    environment.step(walks[index % len(walks)][2][step])
            memory = max(memory, memory_mb(jvm))
            for environment in environments:
                environment.close()
        played = (rounds - rounds // 2) * worlds
        print(f"{worlds:<20}{memory:>12.0f}{(cpu_ms(jvm) - begun) / played:>34.1f}", flush=True)
    SIMULATORS.stop()


if __name__ == "__main__":
    main()
