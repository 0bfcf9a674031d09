"""Plays household episodes through HTTP while servers fail, and looks for faults among the rewards.

    python benchmarks/faulty_server.py [--episodes 400] [--concurrency 32] [--seed 0]

The rule-based plan follower answers behind the OpenAI protocol, on the loopback interface. The same
episodes are played four times: by a server without faults; by one that lets 20% of the requests
come to nothing, in every way that there is; by one that does so with half of them; and by two
servers of which one dies in the middle. No reward may differ, and but for the third case no episode
may be lost. Exit code 1 if that is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from openai_server import Body, OpenAIServer, RandomFaults, Reply

from metaplan.agents import Agent, PromptProfile
from metaplan.core import EpisodeSpec, MetaPlan, Placement
from metaplan.environments import get_benchmark
from metaplan.episodes import EnvironmentPool, EpisodeRunner, RetryPolicy, RunStore
from metaplan.models import PlanFollower, Sampling, ServedModel, ServedSettings, ServedUsage

HOUSEHOLD = get_benchmark("household")
PLANS = (
    None,
    MetaPlan(steps=("Go to where the object may be located.", "Take the object.")),
)
TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Outcome:
    """How the episodes went with one set of servers."""

    rewards: dict[str, float]
    void: int
    usage: ServedUsage
    wall_s: float


def planned(episodes: int) -> list[EpisodeSpec]:
    """Every task without and with a plan; temperature 0, so that the messages decide all."""
    tasks = HOUSEHOLD.tasks("train")[: (episodes + 1) // len(PLANS)]
    specs = [
        EpisodeSpec(
            task=task,
            environment="benchmark",
            plan=plan,
            placement=Placement.INSTRUCTION if plan else None,
            agent="served follower",
        )
        for task in tasks
        for plan in PLANS
    ]
    return specs[:episodes]


async def play(specs: Sequence[EpisodeSpec], urls: Sequence[str], concurrency: int) -> Outcome:
    """Plays all episodes in a new store."""
    settings = ServedSettings(model="follower", urls=tuple(urls), timeout_s=TIMEOUT_S)
    model = ServedModel(settings)
    agent = Agent(model=model, sampling=Sampling(max_tokens=128), profile=PromptProfile.COMPACT)
    with tempfile.TemporaryDirectory() as directory, RunStore(Path(directory)) as store:
        async with EnvironmentPool(os.cpu_count() or 1, timeout_s=60) as pool:
            runner = EpisodeRunner(
                store=store,
                pool=pool,
                agent=agent,
                benchmark=HOUSEHOLD,
                retry=RetryPolicy(),
                concurrency=concurrency,
            )
            started = time.monotonic()
            done = await runner.run(specs, purpose="explore")
            wall_s = time.monotonic() - started
        await model.close()
        episodes = store.episodes(spec.key for spec in specs)
        rewards = {episode.key: episode.reward for episode in episodes}
    return Outcome(rewards, len(done.void), model.usage, wall_s)


def with_faults(
    specs: Sequence[EpisodeSpec], concurrency: int, share: float, seed: int
) -> tuple[Outcome, Counter[str]]:
    """One server; a share of its answers is faulty."""
    faults = RandomFaults(share, seed)
    with OpenAIServer(PlanFollower(), fault=faults) as server:
        return asyncio.run(play(specs, [server.url], concurrency)), faults.counts


def with_a_death(specs: Sequence[EpisodeSpec], concurrency: int, after: int) -> Outcome:
    """Two servers, of which one dies after so many requests."""
    with ExitStack() as stack:
        mortal, other = (stack.enter_context(OpenAIServer(PlanFollower())) for _ in range(2))

        def dies(number: int, _body: Body) -> Reply | None:
            if number == after:
                mortal.hang_up()
            return None

        mortal.fault = dies
        return asyncio.run(play(specs, [mortal.url, other.url], concurrency))


def tell(name: str, outcome: Outcome, calm: Outcome) -> bool:
    """Prints one row; whether no reward differs from the faultless server's (a void has none)."""
    other = sum(calm.rewards[key] != reward for key, reward in outcome.rewards.items())
    mean = sum(outcome.rewards.values()) / max(len(outcome.rewards), 1)
    print(
        f"| {name} | {outcome.usage.requests} | {outcome.usage.faults} | {outcome.void} "
        f"| {other} | {mean:.3f} | {outcome.wall_s:.1f} | {outcome.wall_s / calm.wall_s:.2f} |",
        flush=True,
    )
    return not other


def main() -> int:
    """Plays, compares, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    specs = planned(arguments.episodes)
    concurrency, seed = arguments.concurrency, arguments.seed

    print(f"{len(specs)} episodes, {concurrency} at a time, time-out {TIMEOUT_S:g} s\n")
    print("| servers | replies | lost requests | void | other rewards | mean reward | s | ratio |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    calm, _ = with_faults(specs, concurrency, 0.0, seed)
    exact = tell("no faults", calm, calm)
    fifth, counts = with_faults(specs, concurrency, 0.2, seed)
    exact &= tell("20% of requests faulty", fifth, calm)
    half, _ = with_faults(specs, concurrency, 0.5, seed)
    exact &= tell("50% of requests faulty", half, calm)
    death = with_a_death(specs, concurrency, calm.usage.requests // 4)
    exact &= tell("one of two servers dies", death, calm)

    print("\n| fault, at 20% | times |\n|---|---|")
    for name, count in sorted(counts.items()):
        print(f"| {name} | {count} |")
    return 0 if exact and not (calm.void or fifth.void or death.void) else 1


if __name__ == "__main__":
    sys.exit(main())
