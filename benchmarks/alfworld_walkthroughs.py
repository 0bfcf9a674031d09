"""Solves every ALFWorld evaluation game in both grammars with its walkthrough.

    METAPLAN_DATA=… python benchmarks/alfworld_walkthroughs.py

The walkthroughs are those of the newer games; in the older ones they are respelt. A game counts
as solved if the reward is 1 and the game's own verdict is success.
"""

import sys
import time

from metaplan.core import DataError
from metaplan.environments import get_benchmark


def main() -> int:
    benchmark = get_benchmark("alfworld")
    print(f"{'task set':<20}{'games':>7}{'solved':>8}{'reward':>8}{'steps':>7}{'CPU s':>8}")
    unsolved = []
    for grammar in ("put", "move"):
        for split in ("valid_seen", "valid_unseen"):
            task_set = f"{split}@{grammar}"
            tasks = benchmark.tasks(task_set)
            begun = time.process_time()
            trajectories, steps = [], 0
            for task in tasks:
                try:
                    trajectories.append(benchmark.expert(task))
                    steps += len(trajectories[-1].steps)
                except DataError as error:
                    unsolved.append(str(error))
            cpu_s = time.process_time() - begun
            solved = sum(trajectory.success for trajectory in trajectories)
            reward = sum(trajectory.reward for trajectory in trajectories) / len(tasks)
            print(f"{task_set:<20}{len(tasks):>7}{solved:>8}{reward:>8.3f}{steps:>7}{cpu_s:>8.2f}")
    print("\n".join(unsolved) or "all games are solved")
    return 1 if unsolved else 0


if __name__ == "__main__":
    sys.exit(main())
