"""People who demonstrate for agent tuning: many, fallible about places, guided by plans."""

import re
from itertools import pairwise

import pytest

from metaplan.core import ExpertTrajectory, MetaPlan, Task
from metaplan.environments import alfworld, household
from metaplan.environments.household import task

TASKS = [task("train", index) for index in range(24)]


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


def test_for_a_second_thing_people_go_on_through_all_places_that_the_plan_names() -> None:
    went_on = 0
    for one in (task("train", index) for index in range(5, 120, 6)):  # two of a kind
        wanted = _wanted(one)
        plan = MetaPlan(
            steps=(
                *("Go to the drawer.", f"Take the first {wanted} from the drawer."),
                *("Go to the shelf.", f"Take the second {wanted} from the shelf."),
            )
        )
        trajectory = demonstrate(one, 0, plan)
        orders = [step.thought for step in trajectory.steps if "in this order:" in step.thought]
        assert len(orders) == 1  # told once, for both
        named = re.search(r"The plan says: ([^.]+)\.", orders[0])
        if not named or named[1] != "drawer, shelf":
            continue  # one of them is the goal, or not in the room
        visits = list(dict.fromkeys(a[6:] for a in actions(trajectory) if a.startswith("go to ")))
        taken = [index for index, action in enumerate(actions(trajectory)) if "take" in action]
        if len(taken) == 2 and taken[1] - taken[0] > 3:
            went_on += 1
            kinds = [place.split()[0] for place in visits]
            assert kinds[0] == "drawer"
    assert went_on >= 5


def test_every_step_has_a_thought_and_a_decision_is_preceded_by_what_is_sought() -> None:
    for one in TASKS:
        for step in demonstrate(one, 0).steps:
            assert step.thought
            if step.action.startswith("take"):
                assert re.search(r"I need an? (\w+), and here is \1 \d+\.", step.thought)


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
