"""Preference pairs per episode: uniform exploration against adaptive allocation.

Usage: python benchmarks/allocation.py [--replications 20] [--only NAME …]
       python benchmarks/allocation.py --record RUN --out benchmarks/tables/NAME.json.gz

Plays explorations on tables that say what each plan is worth and what each of its episodes earns,
at several budgets, and scores the preference pairs that come out:

* gap: true quality of the chosen plan minus that of the rejected one; a task without a pair counts
  0; mean over all tasks.
* right: share of the pairs whose chosen plan truly is better.
* of all: how many of the tasks whose plans truly differ have such a pair.

Budgets are shares of the paper's 5 x 5 episodes a task, in which each of the 5 samples is played,
also where it equals another; `share` lets equal samples share their episodes. `racing` is the
textbook way: every plan that may still be best or worst, by anytime intervals (Kaufmann
and Kalyanakrishnan 2013, threshold tuned as the adaptive allocation was), gets one more episode a
round. Tables are simulated (`MIXES`) or recorded: `--record` takes one from a run that explored
uniformly with many episodes per plan, such as

    metaplan explore household-demo --out RUN --set explore.tasks=120 \
        --set explore.episodes_per_plan=60 --set explore.agent_temperature=null

In each replication tasks are drawn with replacement, a random half of each plan's repetitions says
its quality, and the other half is played. A `thirds` table is drawn equally from its easy, hard and
tied tasks, by the largest difference between plans (0.6 and more, in between, less than 0.15).

The last table says whether plans that share their first step should share evidence (a tree of plan
prefixes): pairs of uniform explorations, each plan's evidence enlarged by a share of its siblings'.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from metaplan.core import MetaPlan, PlanScore, digest
from metaplan.exploration import Adaptive, Round, Uniform, preference_pairs, score_of
from metaplan.exploration.allocation import Rewards
from metaplan.exploration.belief import Evidence, believe

Array = NDArray[np.float64]
Random = np.random.Generator

PLANS = tuple(MetaPlan(steps=(f"Go to place {letter}.",)) for letter in "abcde")
BUDGETS = (0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
TABLES = Path(__file__).parent / "tables"
TASKS = 180
REFERENCE = "uniform 5 x 5"
CERTAIN_TIE = 0.15  # of recorded plans: what 60 episodes can't tell from no difference
CLEAR = 0.6


@dataclass(frozen=True)
class World:
    """What is true, and what episodes earn; tasks × plans (× repetitions), padded.

    Attributes:
        there: Whether there is a plan in this place.
        quality: True `Q(p)`.
        rewards: Of each repetition.
        samples: How often the plan was sampled.
        differs: Tasks whose plans truly differ.
        siblings: tasks × plans × plans: whether two plans begin with the same step.
    """

    there: NDArray[np.bool_]
    quality: Array
    rewards: Array
    samples: NDArray[np.int_]
    differs: NDArray[np.bool_]
    siblings: NDArray[np.bool_] | None = None


# -- simulated tables


def works_or_fails(random: Random) -> Array:
    """Easy: a plan nearly always works or nearly never."""
    return np.where(random.random(5) < 0.5, 0.95, 0.05)


def between(random: Random) -> Array:
    """Easy to middling: most plans nearly work or nearly fail, some are in between."""
    return random.beta(0.3, 0.3, 5)


def close(random: Random) -> Array:
    """Hard: plans differ little."""
    return random.uniform(0.3, 0.7, 5)


def any_quality(random: Random) -> Array:
    """Middling: independent, few near 0 or 1."""
    return random.beta(2, 2, 5)


def tied(random: Random) -> Array:
    """All plans are worth the same."""
    return np.full(5, random.random())


def solved_or_lost(random: Random) -> Array:
    """All plans nearly always work, or none does."""
    return np.full(5, random.choice([0.02, 0.98]))


Kind = Callable[[Random], Array]
MIXES: Mapping[str, tuple[tuple[Kind, ...], bool]] = {
    "easy, hard, tied": ((works_or_fails, close, tied), False),
    "easy, hard, tied; dense": ((works_or_fails, close, tied), True),
    "clear or tied": ((between, between, solved_or_lost, tied), False),
    "no ties, few clear": ((any_quality,), False),
}
"""Equal shares of kinds of tasks, five plans each; dense rewards are Beta, by 2 pseudo-counts."""


def simulated(kinds: Sequence[Kind], dense: bool, random: Random) -> World:
    """Draws a table of `TASKS` tasks with 120 repetitions a plan."""
    quality = np.array([kinds[task % len(kinds)](random) for task in range(TASKS)])
    shape = (*quality.shape, 120)
    if dense:
        rewards = random.beta(2 * quality[..., None], 2 * (1 - quality[..., None]), shape)
    else:
        rewards = (random.random(shape) < quality[..., None]).astype(float)
    once = np.ones(quality.shape, dtype=int)
    return World(once > 0, quality, rewards, once, quality.max(1) > quality.min(1))


# -- recorded tables


def record(run: Path, out: Path) -> None:
    """Writes what a run's exploration earned: no text but hashes of steps."""
    connection = sqlite3.connect(f"file:{run / 'run.db'}?mode=ro", uri=True)
    steps = {
        key: json.loads(plan)["steps"]
        for key, plan in connection.execute("SELECT key, record FROM plans")
    }
    samples = Counter(connection.execute("SELECT task_key, plan_key FROM plan_samples"))
    tasks: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for task, plan, reward in connection.execute(
        "SELECT task_key, plan_key, reward FROM episodes WHERE purpose = 'explore' "
        "ORDER BY task_key, plan_key, repetition"
    ):
        tasks[task][plan].append(round(reward, 4))
    table = [
        [
            {
                "samples": samples[task, plan],
                "steps": [digest(step)[:6] for step in steps[plan]],
                "rewards": rewards,
            }
            for plan, rewards in plans.items()
        ]
        for task, plans in tasks.items()
    ]
    out.parent.mkdir(exist_ok=True)
    with gzip.GzipFile(out, "wb", mtime=0) as file:
        file.write(json.dumps(table, separators=(",", ":")).encode())
    print(f"{out}: {len(table)} tasks, {out.stat().st_size:,} bytes")


def recorded(path: Path) -> World:
    """Reads a table; `quality` is the mean of all repetitions."""
    table = json.loads(gzip.decompress(path.read_bytes()))
    repetitions = min(len(plan["rewards"]) for plans in table for plan in plans)
    there = np.zeros((len(table), len(PLANS)), dtype=bool)
    rewards = np.zeros((*there.shape, repetitions))
    samples = np.zeros(there.shape, dtype=int)
    siblings = np.zeros((*there.shape, len(PLANS)), dtype=bool)
    for row, plans in enumerate(table):
        there[row, : len(plans)] = True
        for column, plan in enumerate(plans):
            rewards[row, column] = plan["rewards"][:repetitions]
            samples[row, column] = plan["samples"]
            for other, sibling in enumerate(plans):
                siblings[row, column, other] = sibling["steps"][:1] == plan["steps"][:1]
    quality = rewards.mean(2)
    differs = _spread(there, quality) >= CERTAIN_TIE
    return World(there, quality, rewards, samples, differs, siblings)


def _spread(there: NDArray[np.bool_], quality: Array) -> Array:
    spread: Array = np.where(there, quality, 0).max(1) - np.where(there, quality, 1).min(1)
    return spread


def redrawn(world: World, thirds: bool, random: Random) -> World:
    """Draws tasks, and parts their repetitions into truth and play."""
    spread = _spread(world.there, world.quality)
    several = world.there.sum(1) > 1
    strata = [several & (spread >= CLEAR), several & world.differs & (spread < CLEAR)]
    strata = [*strata, several & ~world.differs] if thirds else [spread >= 0]
    each = TASKS // len(strata)
    tasks = np.concatenate([random.choice(np.flatnonzero(rows), each) for rows in strata])
    shuffled = random.permuted(world.rewards[tasks], axis=2)
    half = shuffled.shape[2] // 2
    assert world.siblings is not None
    return World(
        world.there[tasks],
        shuffled[..., :half].mean(2),
        shuffled[..., half:],
        world.samples[tasks],
        world.differs[tasks],
        world.siblings[tasks],
    )


# -- allocations


@dataclass(frozen=True)
class Racing:
    """One more episode for whatever may still be best or worst, until the budget is spent."""

    plans: Mapping[str, Sequence[str]]
    budget: int
    threshold: float = 0.5  # of n · KL; 3 would be some 95%: far too wide for so few episodes

    def next_round(self, rewards: Rewards) -> Round:
        """Every candidate of every undecided task."""
        chosen = [
            (task, plan, len(rewards.get((task, plan), ())))
            for task in sorted(self.plans, key=digest)
            for plan in self._candidates(task, rewards)
        ]
        left = self.budget - sum(map(len, rewards.values()))
        return Round(tuple(chosen[:left]), decided=0, tied=0, open=0)

    def _candidates(self, task: str, rewards: Rewards) -> list[str]:
        bounds = {plan: self._interval(rewards.get((task, plan), ())) for plan in self.plans[task]}
        high = max(low for low, _ in bounds.values())
        low = min(high for _, high in bounds.values())
        best = [plan for plan, bound in bounds.items() if bound[1] >= high]
        worst = [plan for plan, bound in bounds.items() if bound[0] <= low]
        ends = (best if len(best) > 1 else []) + (worst if len(worst) > 1 else [])
        return list(dict.fromkeys(ends)) if len(bounds) > 1 else []

    def _interval(self, rewards: Sequence[float | None]) -> tuple[float, float]:
        if not rewards:
            return 0.0, 1.0
        mean = sum(filter(None, rewards)) / len(rewards)
        grid = np.linspace(0.001, 0.999, 200)
        held = min(max(mean, 1e-9), 1 - 1e-9)
        kl = held * np.log(held / grid) + (1 - held) * np.log((1 - held) / (1 - grid))
        inside = grid[len(rewards) * kl <= self.threshold]
        return (float(inside[0]), float(inside[-1])) if len(inside) else (mean, mean)


@dataclass(frozen=True)
class EverySample:
    """N episodes with each sample, also with those that are equal: as often as it was drawn."""

    samples: Mapping[tuple[str, str], int]

    def next_round(self, rewards: Rewards) -> Round:
        """Everything, at first."""
        episodes = [
            (task, plan, repetition)
            for (task, plan), times in self.samples.items()
            for repetition in range(5 * times)
        ]
        return Round(() if rewards else tuple(episodes), decided=0, tied=0, open=0)


Allocation = Uniform | Adaptive | Racing | EverySample


def allocations(world: World) -> dict[str, Allocation]:
    """What is compared, by name."""
    keys = {
        str(task): [plan.key for plan, there in zip(PLANS, row, strict=True) if there]
        for task, row in enumerate(world.there)
    }
    samples = {
        (task, plan): int(world.samples[int(task), column])
        for task, plans in keys.items()
        for column, plan in enumerate(plans)
    }
    full = 25 * len(keys)
    adaptive = {f"adaptive {share:.0%}": Adaptive(keys, round(share * full)) for share in BUDGETS}
    racing = {f"racing {share:.0%}": Racing(keys, round(share * full)) for share in (0.4, 1.0)}
    return {
        REFERENCE: EverySample(samples),
        "share": Uniform(keys, 5),
        "share, 5 x 2": Uniform(keys, 2),
        **racing,
        **adaptive,
    }


def explored(world: World, allocation: Allocation) -> tuple[list[PlanScore], int]:
    """Plays until the allocation ends; scores and number of episodes.

    Where a table's repetitions run out they come again.
    """
    places = {plan.key: place for place, plan in enumerate(PLANS)}
    repetitions = world.rewards.shape[2]
    earned: dict[tuple[str, str], list[float]] = {}
    while episodes := allocation.next_round(earned).episodes:
        for task, plan, repetition in episodes:
            reward = world.rewards[int(task), places[plan], repetition % repetitions]
            earned.setdefault((task, plan), []).append(float(reward))
    scores = [score_of(task, PLANS[places[plan]], found) for (task, plan), found in earned.items()]
    played = sum(score.count for score in scores)
    if isinstance(allocation, EverySample):  # compared by their means, as the paper does
        scores = [score.model_copy(update={"count": 5}) for score in scores]
    return scores, played


# -- scores


def measured(world: World, scores: Sequence[PlanScore]) -> tuple[float, float, float]:
    """Gap, right, of all."""
    places = {plan: place for place, plan in enumerate(PLANS)}
    gaps = {}
    for pair in preference_pairs(scores):
        quality = world.quality[int(pair.task_key)]
        gaps[pair.task_key] = quality[places[pair.chosen]] - quality[places[pair.rejected]]
    right = [task for task, gap in gaps.items() if gap > 0]
    found = sum(world.differs[int(task)] for task in right)
    return (
        sum(gaps.values()) / len(world.quality),
        len(right) / max(len(gaps), 1),
        float(found / world.differs.sum()),
    )


def compare(name: str, draw: Callable[[Random], World], replications: int) -> Table:
    """One table: means over replications, and differences to the reference, with 95% intervals."""
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for number in track(range(replications), name, transient=True):
        world = draw(np.random.default_rng([2026, number]))
        for label, allocation in allocations(world).items():
            scores, episodes = explored(world, allocation)
            found[label].append((*measured(world, scores), episodes / (25 * len(world.there))))
    table = Table("", "episodes", "gap", "to 5 x 5", "right", "", "of all", "", title=name)
    reference = np.array(found[REFERENCE])
    for label, rows in found.items():
        values = np.array(rows)
        cells = [f"{values[:, 3].mean():.0%}"]
        for column in range(3):
            cells.append(f"{values[:, column].mean():.3f}")
            difference = values[:, column] - reference[:, column]
            half = 1.96 * difference.std(ddof=1) / math.sqrt(replications)
            cells.append("" if label == REFERENCE else f"{difference.mean():+.3f} ± {half:.3f}")
        table.add_row(label, *cells)
    return table


def shared_evidence(name: str, world: World, replications: int) -> Table:
    """Gap of the pairs of uniform explorations, by the share of evidence that siblings give."""
    shares = (0.0, 0.1, 0.2, 0.4)
    table = Table("episodes per plan", *(f"share {share}" for share in shares))
    table.title = f"{name}: gap where plans with the same first step share evidence"
    for count in (1, 2, 5):
        gaps: dict[float, list[float]] = defaultdict(list)
        for number in range(replications):
            drawn = redrawn(world, False, np.random.default_rng([2027, number]))
            for share in shares:
                gaps[share].append(_gap_when_shared(drawn, count, share))
        cells = [f"{np.mean(gaps[0.0]):.3f}"]
        for share in shares[1:]:
            difference = np.subtract(gaps[share], gaps[0.0])
            half = 1.96 * difference.std(ddof=1) / math.sqrt(replications)
            cells.append(f"{difference.mean():+.3f} ± {half:.3f}")
        table.add_row(str(count), *cells)
    return table


def _gap_when_shared(world: World, count: int, share: float) -> float:
    assert world.siblings is not None
    weights = np.where(np.eye(len(PLANS), dtype=bool), 1.0, share * world.siblings)
    played = world.rewards[..., :count] * world.there[..., None]
    sums = np.stack([np.where(world.there, count, 0.0), played.sum(2), (played**2).sum(2)])
    mean = believe(Evidence(world.there, *np.einsum("tab,stb->sta", weights, sums))).mean
    rows = np.arange(len(mean))
    best = np.where(world.there, mean, -1.0).argmax(1)
    worst = np.where(world.there, mean, 2.0).argmin(1)
    return float((world.quality[rows, best] - world.quality[rows, worst]).mean())


def main(replications: int, only: Sequence[str]) -> None:
    """Prints all tables, or those whose names contain one of the given words."""
    console = Console(width=110)
    worlds = {path.name.partition(".")[0]: recorded(path) for path in sorted(TABLES.glob("*.gz"))}
    draws: dict[str, Callable[[Random], World]] = {
        f"simulated: {name}": partial(simulated, *mix) for name, mix in MIXES.items()
    }
    for name, world in worlds.items():
        draws[f"recorded: {name}, thirds"] = partial(redrawn, world, True)
        draws[f"recorded: {name}, as it is"] = partial(redrawn, world, False)
    for name, draw in draws.items():
        if not only or any(word in name for word in only):
            console.print(compare(name, draw, replications))
    for name, world in worlds.items():
        if not only or "tree" in only:
            console.print(shared_evidence(name, world, replications))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--replications", type=int, default=20)
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--record", type=Path, help="a run directory")
    parser.add_argument("--out", type=Path, help="of --record")
    said = parser.parse_args()
    if said.record:
        record(said.record, said.out)
    else:
        main(said.replications, said.only)
