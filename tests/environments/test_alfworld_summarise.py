import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.core import DataError, ExpertStep, ExpertTrajectory, Task
from metaplan.environments.alfworld.summarise import summarise
from metaplan.planners.linting import lint_plan

TEMPLATES = (
    "go to {receptacle}",
    "take {object} from {receptacle}",
    "put {object} in/on {receptacle}",
    "open {receptacle}",
    "close {receptacle}",
    "toggle {object} {receptacle}",
    "clean {object} with {receptacle}",
    "heat {object} with {receptacle}",
    "cool {object} with {receptacle}",
)


def trajectory(*actions, failed=()):
    steps = tuple(
        ExpertStep(action=action, observation="Nothing happens." if action in failed else "Done.")
        for action in actions
    )
    task = Task(key="household/train/7", benchmark="household", task_set="train", task_type="any")
    return ExpertTrajectory(task=task, steps=steps, reward=1.0, success=True, source="recorded")


def steps_of(*actions, failed=()):
    return summarise(trajectory(*actions, failed=failed)).steps


@pytest.mark.parametrize(
    "put", ["put mug 1 in/on coffeemachine 1", "move mug 1 to coffeemachine 1"]
)
def test_a_trajectory_becomes_a_plan_of_kinds_in_both_grammars(put):
    assert steps_of(
        "go to countertop 2",
        "take mug 1 from countertop 2",
        "go to sinkbasin 1",
        "clean mug 1 with sinkbasin 1",
        "go to coffeemachine 1",
        put,
    ) == (
        "Go to the countertop.",
        "Take the mug from the countertop.",
        "Go to the sinkbasin.",
        "Clean the mug with the sinkbasin.",
        "Go to the coffeemachine.",
        "Put the mug in/on the coffeemachine.",
    )


def test_a_search_is_told_by_the_kinds_of_place_that_it_went_through():
    assert steps_of(
        "go to bed 1",
        "go to shelf 1",
        "go to shelf 2",
        "go to desk 1",
        "take cd 2 from desk 1",
    ) == ("Go to the bed.", "Go to the shelf.", "Go to the desk.", "Take the cd from the desk.")


def test_a_wide_search_becomes_where_it_may_be_located():
    kinds = ("bed", "shelf", "desk", "dresser", "sofa", "drawer")
    visits = [f"go to {kind} 1" for kind in kinds]
    assert steps_of(*visits, "open drawer 1", "take cd 2 from drawer 1") == (
        "Go to where the cd may be located.",
        "Take the cd from where you found it.",
    )


def test_opening_what_held_the_object_is_told_and_other_opening_is_not():
    assert steps_of(
        "go to cabinet 1",
        "open cabinet 1",
        "close cabinet 1",
        "go to fridge 1",
        "open fridge 1",
        "take egg 1 from fridge 1",
        "close fridge 1",
    ) == (
        "Go to the cabinet.",
        "Go to the fridge.",
        "Open the fridge.",
        "Take the egg from the fridge.",
    )


def test_two_objects_are_first_and_second_within_fourteen_steps():
    fetch = ("go to bed 1", "go to sofa 1", "go to desk 1", "go to shelf 3", "take {} from shelf 3")
    deliver = ("go to safe 1", "open safe 1", "move {} to safe 1", "close safe 1")
    actions = [line.format(cd) for cd in ("cd 3", "cd 1") for line in (*fetch, *deliver)]
    steps = steps_of(*actions)
    assert len(steps) == 14
    assert steps[4:7] == (
        "Take the first cd from the shelf.",
        "Go to the safe.",
        "Put the first cd in/on the safe.",
    )
    assert steps[-1] == "Put the second cd in/on the safe."


def test_the_lamp_is_used_to_look_at_what_is_held():
    held = steps_of("go to bed 1", "take cd 1 from bed 1", "go to desk 1", "use desklamp 1")
    assert held[-2:] == ("Go to the desk.", "Use the desklamp to look at the cd.")
    before = steps_of("go to desk 1", "use desklamp 1", "take cd 1 from desk 1")
    assert before[1] == "Use the desklamp."


def test_actions_that_did_nothing_are_not_told():
    wrong = "heat mug 1 with fridge 1"
    assert steps_of("go to bed 1", wrong, "take mug 1 from bed 1", failed={wrong}) == (
        "Go to the bed.",
        "Take the mug from the bed.",
    )


def test_mistakes_are_not_told():
    steps = [ExpertStep(action="go to bed 1", observation="You see nothing.", mistake=True)]
    acted = trajectory("go to desk 1", "take cd 1 from desk 1")
    told = summarise(acted.model_copy(update={"steps": (*steps, *acted.steps)}))
    assert told.steps == ("Go to the desk.", "Take the cd from the desk.")


def test_a_trajectory_without_deeds_is_refused_by_its_key():
    with pytest.raises(DataError, match="household/train/7"):
        summarise(trajectory("look", "go to bed 1"))


PLACES = st.builds(
    "{} {}".format, st.sampled_from(["bed", "desk", "fridge", "shelf", "safe"]), st.integers(1, 12)
)


@st.composite
def expert_actions(draw):
    """What an expert does with one or two objects."""
    actions = []
    for number in range(draw(st.integers(1, 2))):
        thing = f"mug {number + 1}"
        for place in draw(st.lists(PLACES, min_size=1, max_size=12)):
            actions += [f"go to {place}", *draw(st.sampled_from([[], [f"open {place}"]]))]
        actions.append(f"take {thing} from {place}")
        if draw(st.booleans()) and number == 0:
            actions += ["go to sinkbasin 1", f"clean {thing} with sinkbasin 1"]
        target = draw(PLACES)
        actions += [f"go to {target}", f"open {target}", f"put {thing} in/on {target}"]
    return actions


@given(expert_actions())
def test_every_summary_passes_the_linter_and_names_no_instance(actions):
    plan = summarise(trajectory(*actions))
    assert lint_plan(plan, TEMPLATES) == ()
    assert len(plan.steps) <= 14
    assert not any(re.search(r"\d", step) for step in plan.steps)
    assert plan == summarise(trajectory(*actions))
