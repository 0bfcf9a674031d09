import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.core import MetaPlan
from metaplan.planners.linting import lint_plan

HOUSE = (
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
LABORATORY = (
    "activate {object}",
    "focus on {object}",
    "use {object} on {object}",
    "move {object} to {object}",
    "pour {object} into {object}",
    "teleport to {room}",
    "wait",
)
SHOP = ("search[{keywords}]", "click[{value}]")


def kinds(*steps, templates=HOUSE):
    return [problem.kind for problem in lint_plan(MetaPlan(steps=steps), templates)]


def test_the_papers_good_plan_has_no_problem():
    """Figure 14, right side; and the plan of section 2."""
    figure_14 = (
        "go to where the first pillow may be located.",
        "take first pillow.",
        "go to where sofa is.",
        "put first pillow in/on sofa.",
        "go to where the second pillow may be located.",
        "take second pillow.",
        "go back to sofa.",
        "put second pillow in/on sofa.",
    )
    section_2 = (
        "Go to where the CD may be placed.",
        "Take the CD from where you found it.",
        "Go to where the desklamp is located.",
        "Use the desklamp to look at the CD.",
    )
    assert kinds(*figure_14) == []
    assert kinds(*section_2) == []


@pytest.mark.parametrize(
    "step",
    [
        "Pick up the mug from the countertop.",
        "Place the mug in the cabinet.",
        "Wash the mug in the sinkbasin.",
        "Search for the mug in likely places, such as cabinets and countertops.",
        "If the fridge is closed, open it.",
        "Once found, take the mug.",
        "Then, turn on the desklamp.",
        "Putting the mug into the cabinet.",
    ],
)
def test_synonyms_conditions_and_lead_ins_are_fine(step):
    assert kinds(step) == []


@pytest.mark.parametrize(
    "step",
    [
        "Go to cabinet 4.",
        "Take mug 1 from the countertop.",
        "Check the cabinets (1-4), then drawer 2.",
        "Go " + "very " * 30 + "far.",
    ],
)
def test_instances_and_overlong_steps_are_too_specific(step):
    assert kinds(step) == ["too_specific"]


def test_too_many_steps_are_too_specific_as_a_whole():
    (problem,) = lint_plan(MetaPlan(steps=("Go to the bed.",) * 15), HOUSE)
    assert (problem.kind, problem.step) == ("too_specific", None)
    assert lint_plan(MetaPlan(steps=("Go to the bed.",) * 14), HOUSE) == ()


@pytest.mark.parametrize(
    "step",
    [
        "Slice the apple with the knife.",
        "Go to the shelf and pour the water.",
        "Clean the mug in the dishwasher.",
        "Dust the shelf.",
    ],
)
def test_manipulations_that_the_environment_lacks_are_found(step):
    assert kinds(step) == ["unknown_action"]


@pytest.mark.parametrize(
    "step",
    [
        "Transfer the seed to the flower pot.",
        "Measure the temperature of the water with the thermometer.",
        "Monitor the water until it boils.",
        "Keep using the thermometer on the ice until it becomes water.",
        "Activate and deactivate the sink.",
        "Wait until you see the hatchling turtle.",
    ],
)
def test_experiments_are_fine_in_a_laboratory(step):
    assert kinds(step, templates=LABORATORY) == []


@pytest.mark.parametrize("step", ["Heat the water on the stove.", "Mix the jug."])
def test_what_a_laboratory_cannot_do_in_one_action_is_found(step):
    assert kinds(step, templates=LABORATORY) == ["unknown_action"]


def test_what_is_unknown_depends_on_the_environment():
    assert kinds("Slice the apple.", templates=(*HOUSE, "slice {object}")) == []
    assert kinds("Click the product and select the size.", templates=SHOP) == []
    assert kinds("Take the mug.", templates=SHOP) == ["unknown_action"]
    assert kinds("Choose a product lower than 40 dollars.", templates=SHOP) == []


@pytest.mark.parametrize(
    "step",
    [
        "If the mug is in the cabinet take it, otherwise go to the fridge.",
        "Repeat until all are placed.",
        "Take the mug, clean it, and put it in the cabinet.",
    ],
)
def test_branches_loops_and_chains_are_too_complex(step):
    assert kinds(step) == ["too_complex"]


@pytest.mark.parametrize("text", ["", "I can't help with that.", "<meta_plan></meta_plan>"])
def test_text_without_steps_is_a_format_problem(text):
    (problem,) = lint_plan(text, HOUSE)
    assert (problem.kind, problem.step) == ("format", None)


def test_a_stray_tag_is_a_format_problem_at_its_step():
    text = "Step 1: Go to the bed.\nStep 2: Take the mug. </answer>"
    assert [(p.kind, p.step) for p in lint_plan(text, HOUSE)] == [("format", 2)]


def test_a_step_without_words_is_a_format_problem():
    assert kinds("Go to the bed.", "…") == ["format"]


def test_problems_name_their_step():
    problems = lint_plan(MetaPlan(steps=("Go to the bed.", "Take cd 2.", "Boil it.")), HOUSE)
    assert [(p.kind, p.step) for p in problems] == [("too_specific", 2), ("unknown_action", 3)]
    assert "cd 2" in problems[0].message
    assert "'boil'" in problems[1].message


STEPS = st.sampled_from(["Go to the {}.", "Open the {}.", "Take the mug from the {}."])
PLACES = st.sampled_from(["bed", "fridge", "coffeemachine"])
PLANS = st.lists(st.builds(str.format, STEPS, PLACES), min_size=1, max_size=12)


@given(PLANS)
def test_plans_of_the_environments_own_actions_are_clean(steps):
    assert lint_plan(MetaPlan(steps=tuple(steps)), HOUSE) == ()


@given(PLANS, st.data())
def test_one_instance_number_is_found_wherever_it_stands(steps, data):
    at = data.draw(st.integers(0, len(steps) - 1))
    number = data.draw(st.integers(1, 99))
    steps[at] = steps[at].replace(".", f" {number}.")
    problems = lint_plan(MetaPlan(steps=tuple(steps)), HOUSE)
    assert [(p.kind, p.step) for p in problems] == [("too_specific", at + 1)]


@given(st.text())
def test_any_text_can_be_linted_and_a_plan_equals_its_text(text):
    problems = lint_plan(text, HOUSE)
    if not any(problem.kind == "format" and problem.step is None for problem in problems):
        assert lint_plan(MetaPlan.parse(text), HOUSE) == problems
