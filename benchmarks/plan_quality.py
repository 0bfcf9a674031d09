"""What a plan is worth to the embedded agent: reward with none, a good one, and worse ones.

Usage: python benchmarks/plan_quality.py [--benchmark household|scienceworld] [--tasks N]
           [--task-set NAME]

Lets the rule-based plan follower act at temperature 0.7, once for each task and kind of plan. The
good plan is the seed plan: the summary of the expert's trajectory on this very task. Worse ones:

* household: its place replaced by another kind of place in the room; a step missing that the task
  needs (cleaning, heating, cooling, the lamp, the second object; tasks without such a step are left
  out).
* scienceworld: the seed plan of another variation of the same task type; that of another task
  type. Tasks are spread evenly over the types.

The follower obeys plans by construction: the table says how strongly, and is no claim about
language models.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest

from rich.console import Console
from rich.progress import track
from rich.table import Table

from metaplan.agents import Agent, PromptProfile, run_episode
from metaplan.core import DataError, Episode, EpisodeSpec, MetaPlan, Placement, Task, digest
from metaplan.environments import Benchmark, Environment, Observation, StepResult, get_benchmark
from metaplan.evaluation import bootstrap
from metaplan.models import PlanFollower, Sampling

Seeds = Mapping[str, tuple[Task, MetaPlan]]
"""Task keys to tasks, with their instructions, and their seed plans."""
Variant = Callable[[Task, Seeds], MetaPlan | None]


class InProcess:
    """An environment of this process, as the turn loop wants it."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    async def reset(self) -> Observation:
        return self._environment.reset()

    async def step(self, action: str) -> StepResult:
        return self._environment.step(action)

    async def close(self) -> None:
        self._environment.close()


def wrong_place(task: Task, seeds: Seeds) -> MetaPlan | None:
    """The plan with the place of its first object replaced by another kind in the room."""
    plan, room = seeds[task.key][1], task.instruction
    named = re.search(r"Take .+ from the (\w+)", plan.text)
    if named is None or named[1] not in room:
        return None
    kinds = set(re.findall(r"an? (\w+) \d+", room)) - {named[1]}
    other = random.Random(room).choice(sorted(kinds))
    place = re.compile(rf"\b{named[1]}\b")  # a desk is no desklamp
    return MetaPlan(steps=tuple(place.sub(other, step) for step in plan.steps))


def missing_step(task: Task, seeds: Seeds) -> MetaPlan | None:
    """The plan without what makes its task more than fetching one thing."""
    steps = seeds[task.key][1].steps
    kept = [s for s in steps if not re.match(r"(Clean|Heat|Cool|Use|Take the second)", s)]
    return MetaPlan(steps=tuple(kept)) if len(kept) < len(steps) else None


def of_another(task: Task, seeds: Seeds, *, same_type: bool) -> MetaPlan | None:
    """The plan of another task, of the same type or not."""
    others = [
        plan
        for other, plan in seeds.values()
        if other.key != task.key and (other.task_type == task.task_type) is same_type
    ]
    return random.Random(task.key).choice(others) if others else None


VARIANTS: dict[str, dict[str, Variant]] = {
    "household": {
        "none": lambda _task, _seeds: None,
        "seed plan": lambda task, seeds: seeds[task.key][1],
        "seed plan, wrong place": wrong_place,
        "seed plan, a needed step missing": missing_step,
    },
    "scienceworld": {
        "none": lambda _task, _seeds: None,
        "of another type": lambda task, seeds: of_another(task, seeds, same_type=False),
        "of another variation": lambda task, seeds: of_another(task, seeds, same_type=True),
        "of this task": lambda task, seeds: seeds[task.key][1],
    },
}


def spread(tasks: Sequence[Task]) -> Iterator[Task]:
    """The tasks in turns over the types; within a type in an order of no meaning."""
    by_type: dict[str, list[Task]] = defaultdict(list)
    for task in sorted(tasks, key=lambda task: digest(task.key)):
        by_type[task.task_type].append(task)
    for round_of_types in zip_longest(*by_type.values()):
        yield from (task for task in round_of_types if task is not None)


def seed_plans(benchmark: Benchmark, tasks: Sequence[Task]) -> Iterator[tuple[Task, MetaPlan]]:
    """Tasks with their instructions and seed plans, as far as the expert solves them."""
    assert benchmark.expert is not None
    assert benchmark.summarise is not None
    for task in track(tasks, "experts"):
        try:
            trajectory = benchmark.expert(task)
            if trajectory.success:
                yield trajectory.task, benchmark.summarise(trajectory)
        except DataError as error:
            print(f"left out: {error}")


async def play(benchmark: Benchmark, agent: Agent, task: Task, plan: MetaPlan | None) -> Episode:
    """One attempt at the task."""
    spec = EpisodeSpec(
        task=task,
        environment=agent.environment_fingerprint(benchmark, task),
        plan=plan,
        placement=Placement.INSTRUCTION if plan else None,
        agent=agent.fingerprint,
    )

    async def open_environment() -> InProcess:
        return InProcess(benchmark.load(task).make())

    return await run_episode(
        spec, agent=agent, benchmark=benchmark, open_environment=open_environment
    )


async def main(name: str, count: int, task_set: str) -> None:
    """Plays all variants of all tasks and prints the table."""
    benchmark = get_benchmark(name)
    agent = Agent(
        model=PlanFollower(), sampling=Sampling(temperature=0.7), profile=PromptProfile.COMPACT
    )
    tasks = benchmark.tasks(task_set)
    chosen = list(islice(spread(tasks) if name == "scienceworld" else tasks, count))
    seeds = {task.key: (task, plan) for task, plan in seed_plans(benchmark, chosen)}
    episodes: dict[str, list[Episode]] = defaultdict(list)
    for task, _ in track(list(seeds.values()), "episodes"):
        for variant, make in VARIANTS[name].items():
            plan = make(task, seeds)
            if plan is not None or variant == "none":
                episodes[variant].append(await play(benchmark, agent, task, plan))
    table = Table("plan", "reward", "95%", "success", "95%", "turns", "tasks")
    table.title = f"{name} {task_set}"
    for variant, played in episodes.items():
        cells = [variant]
        for values in ([e.reward for e in played], [float(e.success) for e in played]):
            (interval,) = bootstrap([values])
            cells += [f"{interval.value:.2f}", f"[{interval.low:.2f}, {interval.high:.2f}]"]
        turns = sum(episode.steps for episode in played) / len(played)
        table.add_row(*cells, f"{turns:.0f}", f"{len(played)}")
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--benchmark", choices=tuple(VARIANTS), default="household")
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--task-set", help="by default validation, or train for scienceworld")
    said = parser.parse_args()
    default_set = {"household": "validation", "scienceworld": "train"}[said.benchmark]
    asyncio.run(main(said.benchmark, said.tasks, said.task_set or default_set))
