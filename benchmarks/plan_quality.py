"""What a plan is worth to the embedded agent: success with none, a good one, and spoilt ones.

Usage: python benchmarks/plan_quality.py [TASKS] [TASK_SET]

Plays household games with the rule-based plan follower at temperature 0.7, once with each of:
no plan; the seed plan (the summary of the expert's trajectory on this very task); the seed plan
with its place replaced by another kind of place in the room; the seed plan without a step that the
task needs (cleaning, heating, cooling, the lamp, the second object; tasks without such a step are
left out). The follower obeys plans by construction: the table says how strongly, and is no claim
about language models.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from metaplan.agents import Agent, PromptProfile, run_episode
from metaplan.core import EpisodeSpec, MetaPlan, Placement, Task
from metaplan.environments import Environment, Observation, StepResult, get_benchmark
from metaplan.environments.alfworld.summarise import summarise
from metaplan.evaluation import bootstrap
from metaplan.models import PlanFollower, Sampling

BENCHMARK = get_benchmark("household")
Variant = Callable[[MetaPlan, str], MetaPlan | None]


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


def wrong_place(plan: MetaPlan, room: str) -> MetaPlan | None:
    """The plan with the place of its first object replaced by another kind in the room."""
    named = re.search(r"Take .+ from the (\w+)", plan.text)
    if named is None or named[1] not in room:
        return None
    kinds = set(re.findall(r"an? (\w+) \d+", room)) - {named[1]}
    other = random.Random(room).choice(sorted(kinds))
    return MetaPlan(steps=tuple(step.replace(named[1], other) for step in plan.steps))


def missing_step(plan: MetaPlan, _room: str) -> MetaPlan | None:
    """The plan without what makes its task more than fetching one thing."""
    kept = [s for s in plan.steps if not re.match(r"(Clean|Heat|Cool|Use|Take the second)", s)]
    return MetaPlan(steps=tuple(kept)) if len(kept) < len(plan.steps) else None


VARIANTS: dict[str, Variant] = {
    "none": lambda _plan, _room: None,
    "seed plan": lambda plan, _room: plan,
    "seed plan, wrong place": wrong_place,
    "seed plan, a needed step missing": missing_step,
}


async def play(agent: Agent, task: Task, plan: MetaPlan | None) -> bool:
    """Whether the agent solves the task."""
    spec = EpisodeSpec(
        task=task,
        environment=agent.environment_fingerprint(BENCHMARK, task),
        plan=plan,
        placement=Placement.INSTRUCTION if plan else None,
        agent=agent.fingerprint,
    )
    environment = InProcess(BENCHMARK.load(task).make())

    async def open_environment() -> InProcess:
        return environment

    episode = await run_episode(
        spec, agent=agent, benchmark=BENCHMARK, open_environment=open_environment
    )
    return episode.success


async def main(count: int, task_set: str) -> None:
    agent = Agent(
        model=PlanFollower(), sampling=Sampling(temperature=0.7), profile=PromptProfile.COMPACT
    )
    assert BENCHMARK.expert is not None
    success: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for task in BENCHMARK.tasks(task_set)[:count]:
        trajectory = BENCHMARK.expert(task)
        if not trajectory.success:
            continue
        seed_plan = summarise(trajectory)
        for name, variant in VARIANTS.items():
            plan = variant(seed_plan, trajectory.task.instruction)
            if plan is not None or name == "none":
                success[name].append(float(await play(agent, task, plan)))
    table = Table("plan", "success", "95% interval", "tasks", title=f"household {task_set}")
    for name, values in success.items():
        (interval,) = bootstrap([values])
        table.add_row(
            name,
            f"{interval.value:.2f}",
            f"[{interval.low:.2f}, {interval.high:.2f}]",
            f"{len(values)}",
        )
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(
        main(
            int(sys.argv[1]) if len(sys.argv) > 1 else 300,
            sys.argv[2] if len(sys.argv) > 2 else "validation",
        )
    )
