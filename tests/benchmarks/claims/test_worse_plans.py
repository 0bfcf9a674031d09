"""Plans with one fault each."""

import pytest
from claims.worse_plans import WORSE

from metaplan.core import MetaPlan, Task

ROOM = "You see a desk 1, a shelf 1, and a desklamp 1.\nYour task is to: examine the book."


def task(key: str, task_type: str = "look") -> Task:
    return Task(
        key=key, benchmark="household", task_set="unseen", task_type=task_type, instruction=ROOM
    )


def plan(*steps: str) -> MetaPlan:
    return MetaPlan(steps=steps)


RIGHT = plan("Go to the desk.", "Take the book from the desk.", "Use the desklamp.")
SEEDS = {
    "a": (task("a"), RIGHT),
    "b": (task("b"), plan("Take the pen from the shelf.")),
    "c": (task("c", "clean"), plan("Clean the mug with the sinkbasin.")),
}


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("missing step", ("Go to the desk.", "Take the book from the desk.")),
        ("other task", ("Clean the mug with the sinkbasin.",)),
    ],
)
def test_a_fault_changes_what_it_says_and_nothing_else(kind, steps):
    assert WORSE[kind](SEEDS["a"][0], SEEDS).steps == steps


def test_a_wrong_place_is_another_kind_in_the_room_in_all_steps_but_no_part_of_a_word():
    steps = WORSE["wrong place"](SEEDS["a"][0], SEEDS).steps
    assert steps in {
        (f"Go to the {other}.", f"Take the book from the {other}.", "Use the desklamp.")
        for other in ("shelf", "desklamp")
    }


@pytest.mark.parametrize(("kind", "key"), [("missing step", "b"), ("wrong place", "c")])
def test_a_task_that_cannot_have_the_fault_has_no_such_plan(kind, key):
    assert WORSE[kind](SEEDS[key][0], SEEDS) is None
