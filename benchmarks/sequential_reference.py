"""One process of the reference way: one episode after the other, each request waited for.

    python benchmarks/sequential_reference.py ENVIRONMENT URL FIRST STRIDE

It prints `ready`, plays from a line on its standard input until the input ends, and prints how many
turns it played. `engine.py` starts many of them.

ENVIRONMENT: `instant`; `alfworld`, `scienceworld`: Metaplan's, in this process; `alfworld-stock`,
`scienceworld-stock`: as the packages play them.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from openai import OpenAI

from metaplan.agents.prompting import PromptProfile, find_action, first_message
from metaplan.core import Task
from metaplan.environments import get_benchmark

TURNS = 20
_TASK_SETS = {"instant": "all", "alfworld": "valid_unseen", "scienceworld": "dev"}


def stock_alfworld(task: Task) -> tuple[str, Callable[[str], str]]:
    """Loads and resets a game in TextWorld; its first text, and what does an action."""
    from metaplan.environments.alfworld.games import game_path, read_game
    from metaplan.environments.alfworld.stock import StockGame

    episode = StockGame(read_game(game_path(task))).episode()
    return episode.start(), episode.do


def stock_scienceworld() -> Callable[[Task], tuple[str, Callable[[str], str]]]:
    """Starts the JVM of this process; for a task its first text, and what does an action."""
    from metaplan.environments.scienceworld.stock import StockSimulator
    from metaplan.environments.scienceworld.task_sets import identify

    simulator = StockSimulator()

    def begin(task: Task) -> tuple[str, Callable[[str], str]]:
        opening = simulator.load(*identify(task))
        return f"{opening.description}\n{opening.room}", lambda a: simulator.step(a).text

    return begin


def metaplans(task: Task) -> tuple[str, Callable[[str], str]]:
    """Loads and resets a task in Metaplan's environment."""
    environment = get_benchmark(task.benchmark).load(task).make()
    return environment.reset().text, lambda action: environment.step(action).observation


def player(environment: str) -> Callable[[Task], tuple[str, Callable[[str], str]]]:
    """What begins an episode."""
    if environment == "alfworld-stock":
        return stock_alfworld
    return stock_scienceworld() if environment == "scienceworld-stock" else metaplans


def main() -> None:
    """Plays until told to stop."""
    environment, url, first, stride = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    benchmark = get_benchmark(environment.partition("-")[0])
    tasks = benchmark.tasks(_TASK_SETS[benchmark.name])
    begin = player(environment)
    client = OpenAI(base_url=url, api_key="none", max_retries=0)
    turns = 0
    print("ready", flush=True)
    sys.stdin.readline()

    def end() -> None:
        sys.stdin.read()
        print(turns, flush=True)
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    for number in itertools.count(first, stride):
        task = tasks[number % len(tasks)]
        text, act = begin(task)
        messages: list[Any] = [first_message(benchmark, task, text, PromptProfile.PAPER)]
        for _ in range(TURNS):
            answer = client.chat.completions.create(
                model="simulated", messages=messages, temperature=0.7, max_tokens=512
            )
            reply = answer.choices[0].message.content or ""
            observation = act(find_action(reply) or "look")
            messages.append({"role": "assistant", "content": reply})
            messages.append({"role": "user", "content": f"Observation: {observation}"})
            turns += 1


if __name__ == "__main__":
    main()
