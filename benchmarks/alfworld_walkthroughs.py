"""Solves every ALFWorld evaluation game in both grammars with its walkthrough.

    METAPLAN_DATA=… python benchmarks/alfworld_walkthroughs.py [--recordings]

The walkthroughs are those of the newer games; in the older ones they are respelt. A game counts
as solved if the reward is 1 and the game's own verdict is success.

With ``--recordings``, the recorded experts of the older training games are done again too, and
every observation is compared with the recorded one, which another installation of ALFWorld gave.
"""

import json
import sys
import time

from metaplan.core import DataError
from metaplan.environments import get_benchmark
from metaplan.environments.alfworld import LoadedGame
from metaplan.environments.alfworld.games import game_path, list_tasks, read_game


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
    differing = compare_recordings() if "--recordings" in sys.argv[1:] else 0
    return 1 if unsolved or differing else 0


def compare_recordings() -> int:
    """Does every recorded expert again; returns how many observations or outcomes differ."""
    begun = time.process_time()
    games = steps = differing = 0
    for task in list_tasks("train@put"):
        path = game_path(task)
        recording = path.with_name("gt_traj.json")
        if not recording.exists():
            continue
        turns = [turn["value"].strip() for turn in json.loads(recording.read_text("utf-8"))]
        environment = LoadedGame(read_game(path)).make()
        environment.reset()
        results = [environment.step(action) for action in turns[1::2]]
        seen = [result.observation for result in results]
        recorded = turns[2::2]  # the last action has no recorded answer
        games += 1
        steps += len(recorded)
        differing += sum(a != b for a, b in zip(seen, recorded, strict=False))
        differing += not results[-1].success
    cpu_s = time.process_time() - begun
    print(f"{games} recordings, {steps} observations, {differing} differ, {cpu_s:.1f} s CPU")
    return differing


if __name__ == "__main__":
    sys.exit(main())
