"""The household expert: understands the texts, solves nearly everything, reads text only."""

import re

import pytest

from metaplan.core import ExpertTrajectory, Task
from metaplan.environments.alfworld.game import LoadedGame
from metaplan.environments.alfworld.person import MOST_STEPS, act_as_expert
from metaplan.environments.alfworld.reading import (
    Sight,
    Wish,
    read_names,
    read_sight,
    read_wish,
)
from metaplan.environments.household.problem import write_game
from metaplan.environments.household.scenarios import draw_scenario, task_seed, task_type_of
from metaplan.environments.household.splits import TASK_SETS


def trajectory_of(task_set: str, index: int, key: str = "") -> ExpertTrajectory:
    task = Task(
        key=key or f"household/{task_set}/{index:05d}",
        benchmark="household",
        task_set=task_set,
        task_type=task_type_of(index),
    )
    game = write_game(draw_scenario(task_set, index), task_seed(task_set, index))
    return act_as_expert(task, LoadedGame(game))


@pytest.fixture(scope="module")
def trajectories() -> dict[str, list[ExpertTrajectory]]:
    return {s: [trajectory_of(s, index) for index in range(60)] for s in TASK_SETS}


@pytest.mark.parametrize("task_set", TASK_SETS)
def test_it_solves_nearly_all_tasks_most_within_the_benchmarks_limit(
    task_set: str, trajectories: dict[str, list[ExpertTrajectory]]
) -> None:
    solved = [t for t in trajectories[task_set] if t.success]
    assert len(solved) >= 0.97 * len(trajectories[task_set])
    assert sum(len(t.steps) <= 30 for t in solved) >= 0.95 * len(trajectories[task_set])
    assert max(len(t.steps) for t in trajectories[task_set]) <= MOST_STEPS


def test_trajectories_carry_the_instruction_thoughts_and_the_verdict(
    trajectories: dict[str, list[ExpertTrajectory]],
) -> None:
    for trajectory in trajectories["train"]:
        assert "Your task is to: " in trajectory.task.instruction
        assert trajectory.source == "handcoded"
        assert trajectory.reward == float(trajectory.success)
        assert all(
            step.thought and "Nothing happens" not in step.observation for step in trajectory.steps
        )


def test_it_never_goes_back_to_a_place_that_it_knows_to_be_useless(
    trajectories: dict[str, list[ExpertTrajectory]],
) -> None:
    for trajectory in trajectories["train"]:
        searched = [s.action for s in trajectory.steps if ". I look at " in s.thought]
        assert len(searched) == len(set(searched))


def test_it_explores_rather_than_knows(
    trajectories: dict[str, list[ExpertTrajectory]],
) -> None:
    """With hidden knowledge it would never look in vain."""
    searches = [sum(". I look at " in s.thought for s in t.steps) for t in trajectories["train"]]
    assert sum(searches) / len(searches) > 2


def test_before_a_search_it_says_in_what_order_it_will_look(
    trajectories: dict[str, list[ExpertTrajectory]],
) -> None:
    """And keeps to it: what it looks at are the first kinds of place of the list."""
    for trajectory in trajectories["train"]:
        order: list[str] = []
        for step in trajectory.steps:
            said = re.search(r"I look in this order: (.+?)\. ", step.thought)
            order = said[1].split(", ") if said else order
            looked = re.search(r"\. I look at (\w+) \d+\.$", step.thought)
            if looked:
                order = order[order.index(looked[1]) :]
                assert order[0] == looked[1]


def test_the_same_task_gives_the_same_trajectory_and_another_person_may_differ() -> None:
    assert trajectory_of("seen", 4) == trajectory_of("seen", 4)
    pairs = [
        [[step.action for step in trajectory_of("seen", i, key=person).steps] for person in "ab"]
        for i in range(24)
    ]
    assert 3 < sum(one != other for one, other in pairs) < 24


@pytest.mark.parametrize(
    ("sentence", "wish"),
    [
        ("put a mug in desk", Wish("mug", "desk")),
        ("put some mug on desk", Wish("mug", "desk")),
        ("put a clean mug in coffeemachine", Wish("mug", "coffeemachine", verb="clean")),
        ("clean some mug and put it in shelf", Wish("mug", "shelf", verb="clean")),
        ("put a hot egg in fridge", Wish("egg", "fridge", verb="heat")),
        ("heat some egg and put it in fridge", Wish("egg", "fridge", verb="heat")),
        ("put a cool pan in cabinet", Wish("pan", "cabinet", verb="cool")),
        ("cool some pan and put it in cabinet", Wish("pan", "cabinet", verb="cool")),
        ("put two pillow in sofa", Wish("pillow", "sofa", count=2)),
        ("find two pillow and put them in sofa", Wish("pillow", "sofa", count=2)),
        ("look at cd under the desklamp", Wish("cd", lamp_type="desklamp")),
        ("examine the cd with the desklamp", Wish("cd", lamp_type="desklamp")),
    ],
)
def test_every_sentence_of_alfred_is_understood(sentence: str, wish: Wish) -> None:
    assert read_wish(f"You see a bed 1.\nYour task is to: {sentence}.\n") == wish


def test_a_sentence_of_another_kind_is_not_guessed_at() -> None:
    assert read_wish("Your task is to: boil the water.") is None
    assert read_wish("You see a bed 1.") is None


@pytest.mark.parametrize(
    ("text", "sight"),
    [
        ("On the bed 1, you see a book 2, and a pillow 1.", Sight("bed 1", ("book 2", "pillow 1"))),
        ("You arrive at bed 1. On the bed 1, you see nothing.", Sight("bed 1", ())),
        (
            "You open the safe 1. The safe 1 is open. In it, you see a cd 1.",
            Sight("safe 1", ("cd 1",)),
        ),
        ("You arrive at loc 4. The safe 1 is closed.", Sight("safe 1", None)),
        ("You heat the egg 1 using the microwave 1.", None),
        ("Nothing happens.", None),
    ],
)
def test_what_lies_where_is_read_from_observations(text: str, sight: Sight | None) -> None:
    assert read_sight(text) == sight


def test_listings_are_read_in_full() -> None:
    assert read_names("you see a bed 2, a bed 1, an armchair 1, and a safe 10.") == (
        "bed 2",
        "bed 1",
        "armchair 1",
        "safe 10",
    )
