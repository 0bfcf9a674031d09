"""People who demonstrate for agent tuning: many, fallible about places, guided by plans."""

import re
from collections import Counter
from itertools import pairwise, product

import pytest

from metaplan.core import ExpertTrajectory, MetaPlan, Task
from metaplan.environments import alfworld, household
from metaplan.environments.household import task

TASKS = [task("train", index) for index in range(24)]
LAMPS = [task("train", index) for index in range(1, 240, 6)]


def demonstrate(task: Task, person: int | None, plan: MetaPlan | None = None) -> ExpertTrajectory:
    assert household.BENCHMARK.demonstrate is not None
    return household.BENCHMARK.demonstrate(task, person, plan)


def actions(trajectory: ExpertTrajectory) -> list[str]:
    return [step.action for step in trajectory.steps]


def test_people_differ_and_each_is_the_same_every_time() -> None:
    first = [actions(demonstrate(task, 0)) for task in TASKS]
    assert first == [actions(demonstrate(task, 0)) for task in TASKS]
    assert first != [actions(demonstrate(task, 1)) for task in TASKS]


def test_people_know_less_of_where_things_lie_than_the_expert() -> None:
    people = sum(len(demonstrate(task, 0).steps) for task in TASKS)
    expert = sum(len(household.expert(task).steps) for task in TASKS)
    assert people > 1.2 * expert


def test_a_writer_knows_more_than_people_and_less_than_the_expert() -> None:
    tasks = [task("train", index) for index in range(100)]
    expert, writer, people = (
        sum(len(demonstrate(task, person).steps) for task in tasks) for person in (None, -1, 0)
    )
    assert 1.1 * expert < writer < 0.9 * people


def test_whoever_is_shown_a_right_plan_finds_the_thing_sooner() -> None:
    plans = [household.BENCHMARK.summarise(household.expert(task)) for task in TASKS]  # type: ignore[misc]
    shown = sum(len(demonstrate(t, 3, plan).steps) for t, plan in zip(TASKS, plans, strict=True))
    assert shown < 0.8 * sum(len(demonstrate(t, 3).steps) for t in TASKS)


def test_a_wrong_plan_costs_steps_and_is_not_obeyed_to_the_end() -> None:
    wrong = MetaPlan(steps=("Go to the garbagecan.", "Take the thing.", "Put it on the moon."))
    for one in TASKS[:6]:
        plan = MetaPlan(steps=tuple(s.replace("thing", _wanted(one)) for s in wrong.steps))
        trajectory = demonstrate(one, 0, plan)
        assert trajectory.success
        assert trajectory.plan == plan
        assert "garbagecan" in trajectory.steps[0].action or trajectory.steps[0].action.startswith(
            "take"
        )


def _wanted(one: Task) -> str:
    taken = (re.match(r"take (\w+) \d+ from", action) for action in actions(demonstrate(one, 0)))
    return next(match[1] for match in taken if match)


TWO_OF_A_KIND = [task("train", index) for index in range(5, 240, 6)]


def told(trajectory: ExpertTrajectory) -> list[tuple[str, str]]:
    """What people said before each search: kinds of place that the plan names, and the others."""
    orders = (
        re.search(
            r"(?:The plan says: ([^.]+)\. Then )?I (?:look|go on) in this order: ([^.]*)\.",
            step.thought,
        )
        for step in trajectory.steps
    )
    return [(said[1] or "", said[2]) for said in orders if said]


def test_the_plan_s_places_for_a_first_and_a_second_thing_are_one_order() -> None:
    for one in TWO_OF_A_KIND:
        wanted = _wanted(one)
        plan = MetaPlan(
            steps=(
                "Go to the drawer.",
                "Go to the desk.",
                f"Take the first {wanted} from the desk.",
                "Go to the shelf.",
                "Go to the drawer.",
                f"Take the second {wanted} from it.",
            )
        )
        assert told(demonstrate(one, 0, plan))[0][0] == "drawer, desk, shelf"


def test_people_pass_over_places_of_the_plan_that_there_are_not_and_say_so() -> None:
    """Of places that the plan names, those that are in the room are visited, in its order."""
    passed, visited, slips = 0, 0, 0
    for one in TASKS:
        wanted = _wanted(one)
        named = ("toiletpaperhanger", "safe", "shelf", "fridge")
        walk = [f"Go to the {kind}." for kind in named]
        plan = MetaPlan(steps=(*walk, f"Take the {wanted} from the fridge."))
        trajectory = demonstrate(one, 0, plan)
        assert told(trajectory)[0][0] == ", ".join(named)
        there = [kind for kind in named if f" {kind} 1" in trajectory.task.instruction]
        searched = [s for s in trajectory.steps if ". I look at " in s.thought and not s.mistake]
        kinds = [step.action.split()[2] for step in searched]
        seen = [kind for kind in dict.fromkeys(kinds) if kind in named]
        assert seen == [kind for kind in there if kind in seen]
        visited += len(seen)
        for step in searched:
            missing = re.findall(r"(\w+), but there is none", step.thought)
            assert not set(missing) & set(there)
            passed += len(missing)
        slipped = [s.action.split()[2] for s in trajectory.steps if s.mistake]
        slips += sum(kind in named and kind not in there for kind in slipped)
    assert min(passed, visited) >= 10
    assert slips >= 1  # to such a place, by mistake


def test_why_people_pass_over_a_place_of_the_plan_is_true() -> None:
    """It is not there, they looked there before, or it is where the thing has to go."""
    given: Counter[str] = Counter()
    for one in (*TASKS, *LAMPS, *TWO_OF_A_KIND):
        wanted = _wanted(one)
        walk = [f"Go to the {kind}." for kind in ("sidetable", "desk", "drawer", "shelf", "safe")]
        take = f"Take the {wanted} from the safe."
        instruction = demonstrate(one, 0).task.instruction
        places = set(re.findall(r"an? (\w+ \d+)", instruction))
        goal = instruction.rstrip(".").split()[-1]
        left = set(places)
        plan = MetaPlan(steps=(*walk, take, *walk, f"Use the {goal}."))
        for step in demonstrate(one, 0, plan).steps:
            for kind, why in re.findall(r"(\w+), but (\w+ \w+ \w+)\.", step.thought):
                given[why] += 1
                assert {
                    "there is none": f"{kind} 1" not in places,
                    "I was there": f"{kind} 1" in places and f"{kind} 1" not in left,
                    "it goes there": kind == goal,
                }[why]
            left.discard(step.action.removeprefix("go to "))
    assert min(given[why] for why in ("there is none", "I was there", "it goes there")) >= 3


@pytest.mark.parametrize("named", [(), ("drawer", "shelf", "sidetable", "desk")])
def test_for_a_second_thing_people_go_on_in_the_order_of_the_first_search(
    named: tuple[str, ...],
) -> None:
    went_on = 0
    for one in TWO_OF_A_KIND:
        walk = [f"Go to the {kind}." for kind in named]
        plan = MetaPlan(steps=(*walk, f"Take the first {_wanted(one)}.")) if named else None
        said = [
            ", ".join(filter(None, lists)).split(", ") for lists in told(demonstrate(one, 0, plan))
        ]
        for before, after in pairwise(said):
            went_on += 1
            assert after == before[len(before) - len(after) :]
    assert went_on >= 10


def test_what_people_see_and_will_need_they_say_and_go_back_to() -> None:
    """A lamp while they look for the object, and the second of two that lie together."""
    for tasks, note in (
        (LAMPS, r"Here is (\w+ \d+) at (\w+ \d+)\."),
        (TWO_OF_A_KIND, r"here is \w+ \d+, and (\w+ \d+)(?:, and \w+ \d+)* at (\w+ \d+)\."),
    ):
        gone_back = 0
        for one, person in product(tasks, range(2)):
            thoughts = [step.thought for step in demonstrate(one, person).steps]
            until_taken, _, after = " ".join(thoughts).partition(" I take it.")
            if found := re.search(note, until_taken):
                thing, place = found.groups()
                assert f"and I saw {thing} at {place}. I go back to {place}." in after
                gone_back += 1
        assert gone_back >= 5


def test_every_step_has_a_thought_and_a_decision_is_preceded_by_what_is_sought() -> None:
    for one in TASKS:
        for step in demonstrate(one, 0).steps:
            assert step.thought
            if step.action.startswith("take"):
                found = re.search(r"I need an? (\w+)(?: and an? \w+)?, and here is", step.thought)
                assert found
                assert f"and here is {found[1]} " in step.thought


def test_people_slip_where_nothing_new_is_to_be_seen_and_go_on_elsewhere() -> None:
    slips = 0
    for one in TASKS:
        visited: set[str] = set()
        for step, following in pairwise(demonstrate(one, 0).steps):
            if step.mistake:
                slips += 1
                assert step.observation == "Nothing happens." or step.action in visited
                assert following.action != step.action
            visited.add(step.action)
    assert slips >= 5
    assert not any(step.mistake for one in TASKS for step in household.expert(one).steps)


@pytest.mark.data
def test_people_solve_real_training_games_of_alfworld() -> None:
    assert alfworld.BENCHMARK.demonstrate is not None
    games = alfworld.BENCHMARK.tasks("train")[::200]
    solved = [alfworld.BENCHMARK.demonstrate(game, 0, None).success for game in games]
    assert sum(solved) >= 0.8 * len(solved)
