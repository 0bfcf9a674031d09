"""Solves ScienceWorld tasks of every type with the simulator's own expert.

    python benchmarks/scienceworld_gold.py [VARIATIONS] [FOLD] [TASK TYPE ...]

Variations are taken evenly from the fold (train, dev, test; by default 5 of test). A task counts as
solved if the reward is 1 and the simulator's own verdict is success. Nothing is read from the cache
nor written to it.
"""

import sys
import time

from metaplan.core import DataError
from metaplan.environments import get_benchmark
from metaplan.environments.scienceworld.experts import demonstrate
from metaplan.environments.scienceworld.simulators import SIMULATORS


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    fold = sys.argv[2] if len(sys.argv) > 2 else "test"
    wanted = sys.argv[3:]
    by_type = {}
    for task in get_benchmark("scienceworld").tasks(fold):
        by_type.setdefault(task.task_type, []).append(task)
    print(f"{'task type':<52}{'tasks':>6}{'solved':>8}{'reward':>8}{'steps':>7}{'s':>6}")
    unsolved = []
    for task_type, tasks in by_type.items():
        if wanted and task_type not in wanted:
            continue
        begun = time.monotonic()
        tasks.sort(key=lambda task: int(task.source["variation"]))
        chosen = [tasks[index * len(tasks) // count] for index in range(min(count, len(tasks)))]
        found = []
        for task in chosen:
            try:
                found.append(demonstrate(task))
            except DataError as error:
                unsolved.append(str(error))
        solved = sum(trajectory.success and trajectory.reward == 1.0 for trajectory in found)
        reward = sum(trajectory.reward for trajectory in found) / len(chosen)
        steps = sum(len(trajectory.steps) for trajectory in found) / max(len(found), 1)
        seconds = time.monotonic() - begun
        print(
            f"{task_type:<52}{len(chosen):>6}{solved:>8}{reward:>8.3f}{steps:>7.1f}{seconds:>6.1f}",
            flush=True,
        )
    SIMULATORS.stop()
    print("\n".join(unsolved) or "all tasks are solved")
    return 1 if unsolved else 0


if __name__ == "__main__":
    sys.exit(main())
