"""How much faster a small agent answers with an engine a core than with one engine.

    python benchmarks/engine_cores.py [--episodes 200] [--engines 1 2] [--rounds 3]

The agent that comes with the package reads recorded household episodes, turn by turn, all at once,
at temperature 0. Turns a second of wall time, the best of the rounds, which alternate: the machine
must be quiet. The ideal is one engine's pace times the engines.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from local_engine import Chats, conversations, turns

from metaplan.models import LocalModel, Sampling
from metaplan.runs.models import agent_directory


async def pace(chats: Chats, engines: int) -> tuple[float, list[list[str]]]:
    """Turns per second, and what was said."""
    model = LocalModel(agent_directory("household-agent"), engines=engines)
    sampling = Sampling(max_tokens=64)

    async def episode(number: int) -> list[str]:
        said = []
        for prompt in turns(chats[number]):
            [completion] = await model.complete(prompt, sampling, session=str(number))
            said.append(completion.text)
        return said

    # Until all engines are loaded.
    await asyncio.gather(*(model.complete(chat[:1], sampling) for chat in chats[:32]))
    begun = time.perf_counter()
    said = await asyncio.gather(*map(episode, range(len(chats))))
    took = time.perf_counter() - begun
    await model.close()
    return sum(map(len, said)) / took, said


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--engines", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    chats = conversations(options.episodes)
    best = dict.fromkeys(options.engines, 0.0)
    texts: dict[int, list[list[str]]] = {}
    for _ in range(options.rounds):
        for engines in options.engines:
            found, texts[engines] = asyncio.run(pace(chats, engines))
            best[engines] = max(best[engines], found)
    one = best[options.engines[0]]
    expected = [text for said in texts[options.engines[0]] for text in said]
    print(f"{len(expected)} turns of {len(chats)} episodes\n")
    print("| engines | turns/s | of the first | ideal | same texts |\n|---|---|---|---|---|")
    for engines, found in best.items():
        said = [text for texts_ in texts[engines] for text in texts_]
        same = sum(a == b for a, b in zip(said, expected, strict=True)) / len(expected)
        ideal = engines / options.engines[0]
        print(f"| {engines} | {found:.0f} | {found / one:.2f} | {ideal:.2f} | {same:.2%} |")


if __name__ == "__main__":
    main()
