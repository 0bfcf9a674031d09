import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.core import DataError, ExpertStep, ExpertTrajectory, Task
from metaplan.environments.scienceworld.summarise import summarise
from metaplan.planners.linting import lint_plan

TEMPLATES = (
    "open {object}", "close {object}", "activate {object}", "deactivate {object}",
    "connect {object} to {object}", "disconnect {object}", "use {object} on {object}",
    "look around", "examine {object}", "look at {object}", "read {object}",
    "move {object} to {object}", "pick up {object}", "pour {object} into {object}",
    "mix {object}", "teleport to {room}", "focus on {object}", "wait", "wait1",
)  # fmt: skip
BOIL = "Your task is to boil water. First, focus on the substance."
MOVED = "You move the {} to the {}."


def trajectory(*steps, instruction=BOIL):
    task = Task(
        key="scienceworld/boil/7",
        benchmark="scienceworld",
        task_set="train",
        task_type="boil",
        instruction=instruction,
    )
    return ExpertTrajectory(
        task=task,
        steps=tuple(ExpertStep(action=action, observation=seen) for action, seen in steps),
        reward=1.0,
        success=True,
        source="gold",
    )


def steps_of(*steps, instruction=BOIL):
    return summarise(trajectory(*steps, instruction=instruction)).steps


def picked(thing):
    return f"pick up {thing}", MOVED.format(thing, "inventory")


def moved(thing, place):
    return f"move {thing} to {place}", MOVED.format(thing, place)


def switched(verb, thing):
    return f"{verb} {thing}", f"The {thing} is now {verb}d."


def measured(thing, degrees):
    return (
        f"use thermometer in inventory on {thing}",
        f"the thermometer measures a temperature of {degrees} degrees celsius",
    )


def walked(room):
    return f"go to {room}", f"You move to the {room}."


def test_a_walk_is_told_as_the_room_where_something_was_done():
    assert steps_of(
        ("open door to hallway", "The door is already open."),
        walked("hallway"),
        walked("kitchen"),
        ("look around", "This room is called the kitchen."),
        picked("thermometer"),
        walked("hallway"),
        walked("workshop"),
        ("focus on thermometer in inventory", "You focus on the thermometer."),
    ) == (
        "Teleport to the kitchen.",
        "Pick up the thermometer.",
        "Teleport to the workshop.",
        "Focus on the thermometer.",
    )


def test_teleporting_is_told_like_walking():
    focus = ("focus on dove", "You focus on the dove egg.")
    there = ("teleport to outside", "You teleport to the outside.")
    assert steps_of(there, focus) == steps_of(walked("outside"), focus)


def test_what_is_picked_up_and_put_somewhere_at_once_is_moved():
    assert steps_of(picked("metal pot"), moved("metal pot", "stove")) == (
        "Move the metal pot to the stove.",
    )
    between = walked("kitchen")
    assert steps_of(picked("metal pot"), between, moved("metal pot", "stove")) == (
        "Pick up the metal pot.",
        "Teleport to the kitchen.",
        "Move the metal pot to the stove.",
    )


def test_actions_that_did_nothing_are_not_told():
    assert steps_of(
        ("pour metal pot into metal pot", "You can't move something into itself."),
        ("activate sink", "The sink appears broken, and can't be activated or deactivated."),
        ("deactivate sink", "The sink is already deactivated."),
        ("focus on lava", "No known action matches that input."),
        switched("activate", "stove"),
    ) == ("Activate the stove.",)


def test_the_name_that_says_more_is_told():
    assert steps_of(
        ("focus on substance in metal pot", "You focus on the water."),
        ("focus on egg turtle in outside", "You focus on the turtle egg."),
        ("focus on adult pea plant", "You focus on the pea."),
        (
            "focus on apple tree in the adult stage in self watering flower pot 6",
            "You focus on the apple tree.",
        ),
        ("move block to inclined plane c", "You move the wood block to the inclined plane."),
        (
            "pour cup containing blue paint in art studio in jug",
            "You pour the contents of the wood cup into the jug.",
        ),
    ) == (
        "Focus on the water.",
        "Focus on the turtle egg.",
        "Focus on the adult pea plant.",
        "Focus on the apple tree in the adult stage.",
        "Move the wood block to the inclined plane c.",
        "Pour the cup containing blue paint into the jug.",
    )


def test_repeated_measuring_is_one_step_that_ends_with_a_change_of_state():
    assert (
        steps_of(
            ("focus on substance in metal pot", "You focus on the water."),
            switched("activate", "stove"),
            measured("substance in metal pot", 13),
            ("examine substance in metal pot", "a substance called water"),
            measured("substance in metal pot", 98),
            ("examine steam", "a substance called steam"),
            measured("steam", 104),
        )[-1]
        == "Keep using the thermometer on the water until it becomes steam."
    )
    assert steps_of(switched("activate", "stove"), measured("ice", -4))[-1] == (
        "Use the thermometer on the ice."
    )


def test_a_wait_is_told_by_what_it_was_for():
    waits = [("wait1", "You decide to wait for 1 iterations.")] * 5
    grown = ("focus on hatchling turtle in outside", "You focus on the hatchling turtle.")
    seen = ("look around", "Here you see: a hatchling turtle")
    unseen = "Wait until you see the hatchling turtle."
    assert steps_of(*waits, grown) == (unseen, "Focus on the hatchling turtle.")
    assert steps_of(seen, *waits, grown)[0] == "Wait for a while."
    assert steps_of(*waits[:2], grown) == ("Focus on the hatchling turtle.",)
    assert steps_of(switched("activate", "stove"), *waits)[-1] == "Wait for a while."


def test_watching_a_block_slide_is_one_step():
    look = "look at inclined plane c"
    slides = [(look, f"with: a wood block approximately {n}% down the plane") for n in range(9)]
    end = (look, "an inclined plane C, with: a wood block at the bottom of the plane")
    assert steps_of(switched("activate", "stopwatch"), *slides, end)[-1] == (
        "Keep looking at the inclined plane c until the wood block is at the bottom."
    )


def test_a_stopwatch_is_read_and_other_things_are_only_looked_at():
    assert steps_of(
        switched("activate", "stopwatch"),
        ("examine stopwatch in inventory", "a stopwatch. The time reads 21 ticks."),
        ("examine block", "a wood block"),
    ) == ("Activate the stopwatch.", "Examine the stopwatch.")


def test_any_thing_of_a_kind_is_called_by_the_tasks_word_with_an_example():
    instruction = (
        "Your task is to find a(n) living thing. First, focus on the thing. Then, move it to the "
        "red box in the kitchen."
    )
    assert steps_of(
        ("focus on dove", "You focus on the dove egg."),
        ("pick up dove", MOVED.format("dove", "inventory")),
        walked("kitchen"),
        ("move egg dove egg in inventory to red box", MOVED.format("dove", "red box")),
        instruction=instruction,
    ) == (
        "Focus on the living thing, such as the dove egg.",
        "Pick up the living thing.",
        "Teleport to the kitchen.",
        "Move the living thing to the red box.",
    )


def test_a_number_answers_which_thing_was_meant():
    asked = "Ambiguous request: Please enter the number for the action you intended"
    planted = MOVED.format("apple seed", "flower pot 1")
    assert steps_of(("move apple seed to flower pot 1", asked), ("0", planted)) == (
        "Move the apple seed to the flower pot.",
    )


def test_equal_rounds_are_one_round_for_each_place():
    rounds = [
        step
        for pot in (3, 2, 1)
        for step in (
            moved("jug", "sink"),
            (f"pour jug into flower pot {pot}", "You pour the contents of the jug into it."),
        )
    ]
    assert steps_of(*rounds) == ("Move the jug to the sink.", "Pour the jug into each flower pot.")


def test_the_ends_of_a_circuit_are_told_by_their_poles():
    joined = "terminal 2 on black wire is now connected to cathode on red light bulb"
    assert steps_of(
        ("connect black wire terminal 2 to cathode in light", joined),
    ) == ("Connect the black wire to the red light bulb cathode.",)


def test_one_opening_is_told_and_a_search_through_many_is_not():
    cupboard, fridge = (
        (f"open {name}", f"The {name} is now open.") for name in ("cupboard", "fridge")
    )
    assert steps_of(cupboard, picked("pot")) == ("Open the cupboard.", "Pick up the pot.")
    assert steps_of(cupboard, fridge, picked("pot")) == ("Pick up the pot.",)


def test_too_many_steps_lose_what_was_told_before_and_then_go_in_pairs():
    water = (switched("activate", "sink"), moved("jug", "sink"), switched("deactivate", "sink"))
    pots = [moved(f"{colour} seed", "flower pot") for colour in ("red", "blue", "green", "pink")]
    plan = steps_of(*pots, *water, ("focus on seed", "You focus on the seed."), *water, *pots)
    assert len(plan) == 8
    assert plan[-1] == "Focus on the seed."
    plan = steps_of(*[moved(f"{colour}{n} seed", "pot") for n in "ab" for colour in "abcdefgh"])
    assert len(plan) == 12
    assert plan[0] == "Move the aa seed to the pot and move the ba seed to the pot."


def test_a_trajectory_without_deeds_is_refused_by_its_key():
    with pytest.raises(DataError, match="scienceworld/boil/7"):
        summarise(trajectory(walked("kitchen"), ("look around", "This room is the kitchen.")))


@pytest.mark.parametrize(
    "name", ["find-animal", "test-conductivity", "measure-melting-point-known-substance"]
)
def test_real_gold_paths_become_plans_without_problems(benchmark, task, name):
    trajectory = benchmark.expert(task(name, 5))
    plan = summarise(trajectory)
    assert len(plan.steps) < len(trajectory.steps)
    assert lint_plan(plan, benchmark.action_templates) == ()


THINGS = st.sampled_from(["metal pot", "apple seed", "unknown substance b", "cup containing tea"])
DEEDS = st.one_of(
    st.builds(picked, THINGS),
    st.builds(moved, THINGS, st.sampled_from(["sink", "flower pot 2", "red box"])),
    st.builds(switched, st.sampled_from(["activate", "deactivate"]), st.just("stove")),
    st.builds(measured, THINGS, st.integers(-20, 200)),
    st.builds(walked, st.sampled_from(["kitchen", "art studio", "outside"])),
    st.just(("wait", "You decide to wait for 10 iterations.")),
    st.just(("look around", "This room is called the kitchen.")),
)


@given(st.lists(DEEDS, max_size=30))
def test_the_linter_finds_nothing_but_length_in_any_summary(steps):
    plan = summarise(trajectory(("focus on x", "You focus on the x."), *steps))
    problems = lint_plan(plan, TEMPLATES)
    assert all(problem.kind == "too_specific" and problem.step is None for problem in problems)


@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40)), max_size=5))
def test_no_text_breaks_it(steps):
    assert summarise(trajectory(("mix cup", "Done."), *steps)).steps
