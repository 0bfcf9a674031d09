"""Differences between planners over several runs of one recipe, pooled over tasks and seeds.

    python benchmarks/pooled.py [--within STEPS] RUN RUN …

Success in %, within the recipe's step limit or within fewer steps, of each run and of all; 95%
intervals are percentiles of 10,000 bootstraps that draw runs and tasks. The runs must have
evaluated the same tasks. Of a run that several agents played, the last one counts.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from pathlib import Path

import numpy as np

from metaplan.core import MetaPlan
from metaplan.planners import read_jsonl

METHODS = ("none", "sft", "rft", "mpo")
PAIRS = (("mpo", "none"), ("mpo", "sft"), ("mpo", "rft"), ("sft", "none"))
BOOTSTRAPS = 10_000


def successes(run: Path, within: int | None) -> dict[str, dict[str, list[float]]]:
    """By split and method: success of each task, sorted by key."""
    most = sys.maxsize if within is None else within
    with sqlite3.connect(f"file:{run / 'run.db'}?mode=ro", uri=True) as database:
        rows = database.execute(
            "SELECT task_key, plan_key, success, steps FROM episodes WHERE purpose = 'evaluate' "
            "AND agent = (SELECT agent FROM episodes WHERE purpose = 'evaluate' "
            "ORDER BY finished_at DESC LIMIT 1)"
        )
        played = {
            (task, plan): float(success and steps <= most) for task, plan, success, steps in rows
        }
    found: dict[str, dict[str, list[float]]] = {}
    for file in sorted((run / "datasets").glob("plans-sft-*.jsonl")):
        split = file.stem.removeprefix("plans-sft-")
        for method in METHODS:
            writer = "sft" if method == "none" else method
            path = run / "datasets" / f"plans-{writer}-{split}.jsonl"
            plans = {line["task_key"]: line["plan"] for _, line in read_jsonl(path)}
            found.setdefault(split, {})[method] = [
                played.get((key, None if method == "none" else _key(plan)), 0.0)
                for key, plan in sorted(plans.items())
            ]
    return found


def _key(plan: str | None) -> str | None:
    return MetaPlan.parse(plan).key if plan else None


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Of the mean of differences: runs by tasks."""
    chance = np.random.default_rng(0)
    runs, tasks = differences.shape
    means = [
        differences[chance.integers(0, runs, runs)][:, chance.integers(0, tasks, tasks)].mean()
        for _ in range(BOOTSTRAPS)
    ]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def main(directories: list[Path], within: int | None) -> None:
    """Prints a table a split."""
    runs = [successes(directory, within) for directory in directories]
    for split in runs[0]:
        by = {method: 100 * np.array([run[split][method] for run in runs]) for method in METHODS}
        print(f"\n{split}: {by['none'].shape[1]} tasks")
        for method, success in by.items():
            each = "  ".join(f"{mean:5.1f}" for mean in success.mean(1))
            print(f"  {method:10} {success.mean():5.1f}                of each run: {each}")
        for better, worse in PAIRS:
            differences = by[better] - by[worse]
            low, high = interval(differences)
            each = "  ".join(f"{mean:+5.1f}" for mean in differences.mean(1))
            pooled = f"{differences.mean():+5.1f} [{low:+5.1f}, {high:+5.1f}]"
            print(f"  {better} − {worse:4} {pooled} of each run: {each}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--within", type=int, metavar="STEPS")
    arguments = parser.parse_args()
    main(arguments.runs, arguments.within)
