"""Tasks and plans told with another goal: what changes, what stays, and whether it can be done."""

import re
from random import Random

import pytest

from metaplan.core import MetaPlan, Task
from metaplan.environments import household
from metaplan.environments.alfworld.goals import looks_for, with_other_goal
from metaplan.environments.alfworld.reading import read_wish
from metaplan.environments.household import task

ROOM = "You are in the middle of a room. Looking quickly around you, you see a fridge 1, a desk 1"


def told(sentence: str, *steps: str, room: str = ROOM) -> tuple[str, tuple[str, ...]]:
    one = Task(
        key="alfworld/train/0",
        benchmark="alfworld",
        task_set="train",
        task_type="any",
        instruction=f"{room}, and a bed 1.\nYour task is to: {sentence}.",
    )
    found = with_other_goal(one, MetaPlan(steps=steps), Random(0))
    assert found is not None
    other, plan = found
    assert other.key == one.key
    assert other.instruction.startswith(f"{room}, and a bed 1.\n")
    return other.instruction.rpartition(": ")[2], plan.steps


def test_the_walk_to_the_goal_and_the_goal_are_another_ones():
    room = "You see a desk 1, and a safe 1"
    search = ("Go to the desk.", "Go to the shelf.", "Take the pen from the shelf.")
    end = ("Go to the bed.", "Put the pen in/on the bed.")
    for sentence in ("put a pen in bed", "put some pen on bed"):
        said, steps = told(sentence, *search, *end, room=room)
        goal = said.rstrip(".").split()[-1]
        assert said == f"{sentence.removesuffix('bed')}{goal}."
        opening = ("Open the safe.",) if goal == "safe" else ()
        assert steps == (*search, f"Go to the {goal}.", *opening, f"Put the pen in/on the {goal}.")


def test_who_is_at_the_goal_already_does_not_walk_there():
    cooled = ("Go to the fridge.", "Cool the egg with the fridge.")
    begin = ("Take the egg from the bed.", *cooled)
    room = "You see a fridge 1"
    said, steps = told(
        "put a cool egg in bed", *begin, "Go to the bed.", "Put the egg in/on the bed.", room=room
    )
    assert said == "put a cool egg in fridge."
    assert steps == (*begin, "Open the fridge.", "Put the egg in/on the fridge.")


def test_the_goal_is_none_of_the_places_where_the_plan_looks_for_the_thing():
    """A thing that lies at its goal needs no plan; one that is to be treated first does."""
    search = ("Go to the fridge.", "Go to the desk.", "Take the egg from the desk.")
    end = ("Go to the bed.", "Put the egg in/on the bed.")
    room = "You see a safe 1, a fridge 1, and a desk 1"
    simple = told("put a egg in bed", *search, *end, room=room)
    assert simple[0] == "put a egg in safe."
    search, end = search[1:], ("Go to the sinkbasin.", "Clean the egg with the sinkbasin.", *end)
    assert told("put a clean egg in bed", *search, *end, room="You see a desk 1")[0] == (
        "put a clean egg in desk."
    )


def test_what_has_no_goal_stays():
    looked_at = Task(
        key="k", benchmark="alfworld", task_set="train", task_type="any",
        instruction=f"{ROOM}.\nYour task is to: look at pen under the desklamp.",
    )  # fmt: skip
    assert with_other_goal(looked_at, MetaPlan(steps=("Take the pen.",)), Random(0)) is None


@pytest.mark.parametrize("index", range(12))
def test_people_who_are_shown_such_a_plan_need_no_other_one(index: int):
    """The searches stay: a person finds the things as soon as with the plan that it came from."""
    expert = household.expert(task("train", index))
    plan = household.BENCHMARK.summarise(expert)  # type: ignore[misc]
    found = with_other_goal(expert.task, plan, Random(index))
    wish = read_wish(expert.task.instruction)
    assert (found is None) == (wish.place_type is None)
    if found is None:
        return
    other, changed = found
    goal = read_wish(other.instruction).place_type
    assert goal != wish.place_type
    assert re.search(rf"\b{goal} \d", other.instruction)
    puts = [step for step in changed.steps if step.startswith("Put ")]
    assert len(puts) == wish.count
    assert all(step.endswith(f" {goal}.") for step in puts)
    takes = [step for step in plan.steps if step.startswith("Take ")]
    assert [step for step in changed.steps if step.startswith("Take ")] == takes


def test_tasks_look_for_the_same_whatever_their_goal_and_sentence():
    """A plan for one tells where to look in the other; of another thing or lamp it does not."""

    def sought(sentence: str, task_type: str = "one") -> str:
        instruction = f"{ROOM}.\nYour task is to: {sentence}."
        return looks_for(
            Task(
                key="k",
                benchmark="alfworld",
                task_set="train",
                task_type=task_type,
                instruction=instruction,
            )
        )

    assert sought("put a cool egg in bed") == sought("cool some egg and put it in desk")
    others = ("put a cool mug in bed", "look at egg under the desklamp")
    others = (*others, "look at egg under the floorlamp", "no sentence of ALFRED's")
    assert len({sought("put a cool egg in bed"), *map(sought, others)}) == 5
    assert sought("put a cool egg in bed") != sought("put a cool egg in bed", "another")
