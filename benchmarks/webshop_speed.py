"""How fast goals are loaded, and steps are done, in a WebShop shop.

Plays the expert's episodes again: one load, one reset, and the expert's actions each, as a worker
does. The original can't be installed beside it.

    python benchmarks/webshop_speed.py [--task-set train@builtin] [--goals 200]
"""

import argparse
import resource
import time

from rich.console import Console
from rich.table import Table

from metaplan.environments.webshop import BENCHMARK


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task-set", default="train@builtin", choices=BENCHMARK.task_sets)
    parser.add_argument("--goals", type=int, default=200)
    options = parser.parse_args()

    begun = time.process_time()
    tasks = BENCHMARK.tasks(options.task_set)
    listed = time.process_time() - begun
    chosen = tasks[:: max(1, len(tasks) // options.goals)][: options.goals]
    episodes = [(task, BENCHMARK.expert(task)) for task in chosen]

    loads, actions, rewards, spent = 0, {"search": 0.0, "click": 0.0}, [], {"search": 0, "click": 0}
    resets = 0.0
    for task, trajectory in episodes:
        begun = time.process_time()
        environment = BENCHMARK.load(task).make()
        environment.reset()
        resets += time.process_time() - begun
        loads += 1
        for step in trajectory.steps:
            kind = step.action.partition("[")[0]
            begun = time.process_time()
            result = environment.step(step.action)
            actions[kind] += time.process_time() - begun
            spent[kind] += 1
        environment.close()
        rewards.append(result.reward)

    table = Table(title=f"{options.task_set}: {loads} goals, CPU time of one process")
    table.add_column("what")
    table.add_column("each, ms", justify="right")
    table.add_column("a second", justify="right")
    rows = [("load and reset", resets, loads)]
    rows += [(kind, actions[kind], spent[kind]) for kind in actions]
    rows.append(("step", sum(actions.values()), sum(spent.values())))
    for name, seconds, count in rows:
        table.add_row(name, f"{1000 * seconds / count:.3f}", f"{count / seconds:,.0f}")
    console = Console()
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(
        f"listing {len(tasks):,} tasks: {listed:.2f} s; the expert's mean reward: "
        f"{sum(rewards) / len(rewards):.3f}, solved {sum(reward == 1 for reward in rewards)} of "
        f"{loads}; peak memory {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
