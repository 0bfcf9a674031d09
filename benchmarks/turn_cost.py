"""What the harness spends on a turn, part by part, and what else a request could be sent by.

    python benchmarks/turn_cost.py [IN_FLIGHT]

CPU microseconds of this process, each part measured by itself, with IN_FLIGHT (64) of them at a
time, in the middle of an episode of 20 turns with ALFWorld's 1-shot prompt: the model client
against a simulated server, the way to an environment worker and back, the commit of an episode;
then whole episodes. Below, the same request by other clients.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import openai
from instant_benchmark import installed
from simulated_server import Load, SimulatedServer, simulated_server

from metaplan.agents import Agent, PromptProfile, insert_plan, run_episode
from metaplan.agents.prompting import first_message
from metaplan.core import Episode, EpisodeSpec, MetaPlan, Placement
from metaplan.environments import get_benchmark
from metaplan.episodes import EnvironmentPool, RunStore
from metaplan.models import Message, Sampling, ServedModel, ServedSettings

TURNS = 20
ROUNDS = 1500
PLAN = MetaPlan(
    steps=(
        "Look for the object where it may be.",
        "Take it from there.",
        "Put it where it belongs.",
    )
)
SAMPLING = Sampling(temperature=0.7, stop=("\nObservation:",), seed=1)


async def cpu_us(in_flight: int, work: Callable[[], Awaitable[Any]], times: int = ROUNDS) -> float:
    """CPU of this process for one piece of work, with so many at a time."""

    async def repeat(count: int) -> None:
        for _ in range(count):
            await work()

    await asyncio.gather(*(repeat(1) for _ in range(in_flight)))
    gc.collect()
    each = max(times // in_flight, 1)
    begun = time.process_time()
    await asyncio.gather(*(repeat(each) for _ in range(in_flight)))
    return (time.process_time() - begun) / (each * in_flight) * 1e6


def conversation() -> list[Message]:
    """An episode at its half."""
    benchmark = get_benchmark("instant")
    task = benchmark.tasks("all")[0]
    chat = [first_message(benchmark, task, "You are in a room." * 30, PromptProfile.PAPER)]
    for _ in range(TURNS // 2):
        chat.append({"role": "assistant", "content": "Thought: I look for it.\nAction: look" * 2})
        chat.append({"role": "user", "content": "Observation: On it you see a mug 2." * 2})
    return insert_plan(chat, PLAN)


async def clients(server: SimulatedServer, in_flight: int) -> dict[str, float]:
    """One request by each client."""
    chat = conversation()
    body: dict[str, Any] = {
        "model": "simulated", "messages": chat, "max_tokens": 512, "temperature": 0.7,
        "stop": ["\nObservation:"], "seed": 1,
    }  # fmt: skip
    ours = ServedModel(ServedSettings(model="simulated", urls=(server.url,)))
    sdk = openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0)
    costs = {
        "ours": await cpu_us(in_flight, lambda: ours.complete(chat, SAMPLING, session="one")),
        "openai: chat.completions.create": await cpu_us(
            in_flight, lambda: sdk.chat.completions.create(**body)
        ),
        "openai: post": await cpu_us(
            in_flight,
            lambda: sdk.post(
                "/chat/completions", body=body, cast_to=openai.HttpxBinaryResponseContent
            ),
        ),
    }
    for client in (ours, sdk):
        await client.close()
    return costs


async def whole(server: SimulatedServer, in_flight: int) -> tuple[float, float, Episode]:
    """CPU of a turn in whole episodes without a store, that of the way to a worker, an episode."""
    benchmark = replace(get_benchmark("instant"), step_limit=lambda _: TURNS)
    task = benchmark.tasks("all")[0]
    model = ServedModel(ServedSettings(model="simulated", urls=(server.url,)))
    spec = EpisodeSpec(
        task=task, environment="e", plan=PLAN, placement=Placement.INSTRUCTION, agent="a"
    )
    async with EnvironmentPool(os.cpu_count() or 1) as pool:
        environments = [await pool.open(task) for _ in range(in_flight)]
        for environment in environments:
            await environment.reset()
        steps = iter(range(10**9))
        step = await cpu_us(
            in_flight, lambda: environments[next(steps) % in_flight].step("look"), times=3 * ROUNDS
        )
        play = partial(
            run_episode,
            spec,
            agent=Agent(model=model, sampling=Sampling(temperature=0.7)),
            benchmark=benchmark,
            open_environment=partial(pool.open, task),
        )
        turn = await cpu_us(in_flight, play, times=2 * in_flight) / TURNS
        episode = await play()
    await model.close()
    return turn, step, episode


def commit_us(episode: Episode) -> float:
    """CPU of a turn's share of the commit of its episode."""
    with tempfile.TemporaryDirectory() as directory, RunStore(Path(directory)) as store:
        episodes = [episode.model_copy(update={"key": f"{at:016}"}) for at in range(300)]
        begun = time.process_time()
        for one in episodes:
            store.add_episode(one, "explore")
        return (time.process_time() - begun) / len(episodes) / len(episode.turns) * 1e6


def main() -> None:
    """Measures and prints."""
    in_flight = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    load = Load(capacity=10_000, shortest_s=0.05, longest_s=0.1)
    with installed(), simulated_server(load) as server:
        costs = asyncio.run(clients(server, in_flight))
        turn, step, episode = asyncio.run(whole(server, in_flight))
    client, commit = costs.pop("ours"), commit_us(episode)
    rest = turn - client - step
    print(f"{in_flight} at a time\n\n| part | CPU µs of a turn |\n|---|---|")
    for name, cost in (
        ("model client", client),
        ("to the environment worker and back", step),
        ("turn loop, reset, open and close (the rest)", rest),
        ("commit", commit),
        ("**together**", turn + commit),
    ):
        print(f"| {name} | {cost:.0f} |")
    print("\n| the same request by | CPU µs | ratio to ours |\n|---|---|---|")
    for name, cost in costs.items():
        print(f"| {name} | {cost:.0f} | {cost / client:.1f} |")


if __name__ == "__main__":
    main()
