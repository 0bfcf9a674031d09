"""CPU time of an ALFWorld episode: our engine against TextWorld, in one run, on the same games.

    METAPLAN_DATA=… python benchmarks/alfworld_speed.py [GAMES]

Every game is loaded, reset and stepped 20 times with the same admissible commands on both
engines; texts, admissible commands and verdicts are compared on the way (outside the clock).
The last line tells whether a disk cache of translated games would pay for our engine.
"""

import pickle
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from metaplan.environments import get_benchmark
from metaplan.environments.alfworld.fast import FastGame
from metaplan.environments.alfworld.games import game_path, read_game
from metaplan.environments.alfworld.stock import StockGame

STEPS = 20
ENGINES = ("metaplan", "TextWorld")


class Clock:
    """CPU milliseconds by engine and part."""

    def __init__(self) -> None:
        self.spent: dict[tuple[str, str], list[float]] = defaultdict(list)

    def __call__(self, engine: str, part: str, work: Callable[..., Any], *args: Any) -> Any:
        begun = time.process_time()
        result = work(*args)
        self.spent[engine, part].append((time.process_time() - begun) * 1000)
        return result

    def mean(self, engine: str, part: str) -> float:
        return statistics.fmean(self.spent[engine, part])


def play(clock: Clock, game_data: dict[str, Any], seed: int) -> None:
    rng = random.Random(seed)
    makers = {
        # TextWorld loads a game into its environment object: making it is part of loading.
        "metaplan": lambda: FastGame(game_data).episode(),
        "TextWorld": lambda: StockGame(game_data).episode(),
    }
    episodes = {name: clock(name, "load", make) for name, make in makers.items()}
    texts = {name: clock(name, "reset", episode.start) for name, episode in episodes.items()}
    for _ in range(STEPS):
        commands = {
            name: clock(name, "commands", episode.commands) for name, episode in episodes.items()
        }
        if len(set(texts.values())) > 1 or len(set(commands.values())) > 1:
            sys.exit("the engines differ")
        command = rng.choice(commands["metaplan"])
        texts = {
            name: clock(name, "step", episode.do, command) for name, episode in episodes.items()
        }
    if len({episode.won for episode in episodes.values()}) > 1:
        sys.exit("the verdicts differ")
    for episode in episodes.values():
        episode.close()


def cached_load_ms(games: list[dict[str, Any]]) -> tuple[float, float]:
    """Mean CPU of translating a game, and of reading the same from a cache (in memory)."""
    translated = Clock()
    for game_data in games:
        cached = pickle.dumps(translated("metaplan", "load", FastGame, game_data))
        translated("cache", "load", pickle.loads, cached)
    return translated.mean("metaplan", "load"), translated.mean("cache", "load")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    benchmark = get_benchmark("alfworld")
    clock = Clock()
    games = []
    for task_set in ("valid_seen@put", "valid_unseen@move"):
        for task in random.Random(0).sample(list(benchmark.tasks(task_set)), count):
            games.append(read_game(game_path(task)))
            play(clock, games[-1], seed=1)
    load, reset, step, commands = (
        {name: clock.mean(name, part) for name in ENGINES}
        for part in ("load", "reset", "step", "commands")
    )
    rows = {
        "load a game": load,
        "reset": reset,
        "step": step,
        # TextWorld derives all admissible commands in every step, we when asked.
        "step + all commands": {name: step[name] + commands[name] for name in ENGINES},
        f"new game, {STEPS} steps": {
            name: load[name] + reset[name] + STEPS * step[name] for name in ENGINES
        },
        f"loaded game, {STEPS} steps": {name: reset[name] + STEPS * step[name] for name in ENGINES},
    }
    print(f"{2 * count} games, {STEPS} steps each, CPU ms; texts, commands, verdicts identical\n")
    print(f"{'':<24}{'metaplan':>10}{'TextWorld':>11}{'ratio':>8}")
    for label, row in rows.items():
        ours, stock = row["metaplan"], row["TextWorld"]
        print(f"{label:<24}{ours:>10.2f}{stock:>11.2f}{stock / ours:>8.0f}")
    translating, reading = cached_load_ms(games)
    print(
        f"\na translated game from a cache: {reading:.2f} ms; translating it: {translating:.2f} ms"
    )


if __name__ == "__main__":
    main()
