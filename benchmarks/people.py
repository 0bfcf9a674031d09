"""What household plans are worth to people without mistakes: a bound for agents.

    python benchmarks/people.py [--tasks N] [--people N] [RUN …]

The people who demonstrate to the shipped agent (`metaplan.environments.alfworld.person`) carry any
plan out to the letter, and search in an order of their own when it is at its end. The first table
shows them the k likeliest kinds of place that stand in the house, for each thing that a task looks
for, by the very numbers from which the games are drawn: what a perfect planner with lists of that
length would bring. The second shows them the plans of runs' planners, with how many kinds of place
the first list names, how many of these stand in the house, and the share of the thing's places that
they cover. Success in %, within the benchmark's steps, on `seen` and `unseen`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from metaplan.core import MetaPlan, Task
from metaplan.environments import LoadedTask, get_benchmark
from metaplan.environments.alfworld.catalogue import LAMP, merged_rooms, read_world
from metaplan.environments.alfworld.hints import read_hints
from metaplan.environments.alfworld.person import act_as_expert
from metaplan.environments.household.houses import places_in
from metaplan.environments.household.scenarios import Scenario, draw_scenario
from metaplan.planners import read_jsonl

SPLITS = ("seen", "unseen")
LENGTHS = (0, 1, 2, 3, 4, 5, 7, 9)
METHODS = ("sft", "rft", "mpo")
KINDS = {kind.lower() for kind in read_world().holds}
"""Of place, in any house."""


@dataclass(frozen=True)
class Game:
    """A task, ready to be played.

    Attributes:
        task: As the benchmark names it.
        loaded: Makes its environment.
        scenario: From which it was made.
    """

    task: Task
    loaded: LoadedTask
    scenario: Scenario

    def likely_kinds(self, object_type: str) -> Mapping[str, float]:
        """Kinds of place in the house where such a thing may lie, with chances, likeliest first."""
        house, goal = self.scenario.house, self.scenario.goal
        prior = merged_rooms(house.rooms).objects[object_type]
        places = dict(places_in(house.furniture, prior))
        if object_type == goal.object_type and not goal.treatment:
            places.pop(goal.place_type, None)  # what lies at its goal is of no use
        ranked = sorted(places.items(), key=lambda item: (-item[1], item[0]))
        return {kind.lower(): share / sum(places.values()) for kind, share in ranked}


def ideal_plan(game: Game, length: int) -> MetaPlan | None:
    """The likeliest places of all that the task looks for, each list of this length at most."""
    goal = game.scenario.goal

    def search(object_type: str) -> list[str]:
        return [f"Go to the {kind}." for kind in list(game.likely_kinds(object_type))[:length]]

    if length == 0:
        return None
    steps = [*search(goal.object_type), f"Take the {goal.object_type.lower()}."] * goal.count
    if goal.place_type == LAMP:
        steps += [*search(LAMP), f"Use the {LAMP.lower()}."]
    return MetaPlan(steps=tuple(steps))


def success(
    games: Sequence[Game], people: int, plan_of: Callable[[Game], MetaPlan | None]
) -> float:
    """In %, over games and people."""
    limit = get_benchmark("household").step_limit
    solved = 0
    for game in games:
        for person in range(people):
            told = act_as_expert(game.task, game.loaded, person=person, plan=plan_of(game))
            solved += told.success and len(told.steps) <= limit(game.task)
    return 100 * solved / (len(games) * people)


def planned(run: Path, method: str, split: str) -> dict[str, MetaPlan]:
    """A planner's readable plans by task key."""
    lines = (line for _, line in read_jsonl(run / "datasets" / f"plans-{method}-{split}.jsonl"))
    return {line["task_key"]: MetaPlan.parse(line["plan"]) for line in lines if line["plan"]}


def described(games: Sequence[Game], plans: Mapping[str, MetaPlan]) -> tuple[float, float, float]:
    """Means of first lists: kinds that they name, that stand there, and the share covered in %."""
    named, there, covered = 0, 0, 0.0
    for game in games:
        plan = plans.get(game.task.key)
        hints = read_hints(plan, KINDS) if plan else ()
        kinds = hints[0].places if hints else ()
        chances = game.likely_kinds(game.scenario.goal.object_type)
        furniture = {kind.lower() for kind in game.scenario.house.furniture}
        named += len(kinds)
        there += len(furniture.intersection(kinds))
        covered += 100 * sum(chances.get(kind, 0.0) for kind in kinds)
    return named / len(games), there / len(games), covered / len(games)


@cache
def games_of(split: str, count: int) -> tuple[Game, ...]:
    """The first tasks of a set."""
    benchmark = get_benchmark("household")
    return tuple(
        Game(task, benchmark.load(task), draw_scenario(split, int(task.source["index"])))
        for task in benchmark.tasks(split)[:count]
    )


def main(runs: Sequence[Path], count: int, people: int) -> None:
    """Prints both tables."""
    console = Console()
    table = Table("kinds in a list", *SPLITS, title="the likeliest places")
    for length in track(LENGTHS, "the likeliest places", transient=True):
        cells = (
            success(games_of(split, count), people, lambda game, k=length: ideal_plan(game, k))
            for split in SPLITS
        )
        table.add_row(str(length) if length else "no plan", *(f"{cell:.1f}" for cell in cells))
    console.print(table)
    if not runs:
        return
    table = Table("run", "plans", "set", "success", "kinds", "there", "covered, %")
    for run in track(runs, "runs", transient=True):
        for split in SPLITS:
            games = games_of(split, count)
            for method in METHODS:
                plans = planned(run, method, split)
                cells = (
                    success(games, people, lambda game, of=plans: of.get(game.task.key)),
                    *described(games, plans),
                )
                table.add_row(str(run), method, split, *(f"{cell:.1f}" for cell in cells))
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    parser.add_argument("--tasks", type=int, default=200, help="of each set, from its beginning")
    parser.add_argument("--people", type=int, default=2, help="who play each task")
    said = parser.parse_args()
    main(said.runs, said.tasks, said.people)
