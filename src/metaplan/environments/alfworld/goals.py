"""The same task with another goal: where a thing is to be put, in its sentence and in its plan.

Training games have some goals for each object, and a small model that learns from them alone plans
for one of these where a task has a new one. Where an object is found has nothing to do with where
it is to go, so a plan for another goal is as good as the one that it is made from (hindsight
relabelling, Andrychowicz et al., 2017).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from random import Random

from metaplan.core import MetaPlan, Task
from metaplan.environments.alfworld.catalogue import OPENABLE
from metaplan.environments.alfworld.hints import read_hints
from metaplan.environments.alfworld.reading import read_names, read_wish, type_of
from metaplan.environments.alfworld.summarise import ways_and_deeds

__all__ = ["looks_for", "with_other_goal"]

_OPENABLE = {type_.lower() for type_ in OPENABLE}
_PUT = re.compile(r"(Put .+ in/on the )[a-z]+\.")


def looks_for(task: Task) -> str:
    """What a task has to find, whatever is to be done with it and wherever it is to go."""
    wish = read_wish(task.instruction)
    return f"{task.task_type} {wish.object_type} {wish.lamp_type or ''}" if wish else task.key


def with_other_goal(task: Task, plan: MetaPlan, chance: Random) -> tuple[Task, MetaPlan] | None:
    """Another place of the room for the task's goal, each kind as likely.

    What lies at its goal already is of no use, unless it is to be treated first: a kind of place
    where the plan looks for the thing would be a goal that no task has.

    Args:
        task: With the text that the agent sees first.
        plan: By the rule of `summarise`.
        chance: Draws the place.

    Returns:
        The task, of the same key, and the plan; None where nothing is to be put anywhere, or where
        there is no other place but those that the plan searches.
    """
    room, mark, sentence = task.instruction.rpartition("\n")
    wish = read_wish(sentence)
    if wish is None or wish.place_type is None:
        return None
    kinds = {type_of(name) for name in read_names(room)}
    looked_at = {place for hint in read_hints(plan, kinds) for place in hint.places}
    kinds -= {wish.place_type, *(() if wish.verb else looked_at)}
    if not kinds:
        return None
    goal = chance.choice(sorted(kinds))
    told = re.sub(rf"\b{wish.place_type}(\W*)$", rf"{goal}\1", sentence)
    other = task.model_copy(update={"instruction": f"{room}{mark}{told}"})
    return other, MetaPlan(steps=tuple(_steps(plan.steps, goal)))


def _steps(steps: Sequence[str], new: str) -> Iterator[str]:
    """The plan's steps, each walk to the goal made one to the new goal."""
    opened: set[str] = set()
    at = ""
    for way, step in ways_and_deeds(steps):
        walk = list(way)
        if put := _PUT.fullmatch(step):
            walk = [] if at == new else [f"Go to the {new}."]
            if new in _OPENABLE - opened:
                walk.append(f"Open the {new}.")
        deed = f"{put[1]}{new}." if put else step
        yield from walk
        yield deed
        opened |= {
            said.removeprefix("Open the ").rstrip(".")
            for said in walk
            if said.startswith("Open the ")
        }
        at = deed.rstrip(".").rpartition(" ")[2]
